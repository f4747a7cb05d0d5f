using System.Formats.Tar;
using System.Text;
using Hull.Core;
using Hull.Engine;
using Hull.Engine.Drivers;
using Hull.Engine.Workloads;

namespace Hull.InstanceContract.Tests;

/// <summary>
/// What every isolation must do, said in the engine's words. A driver's own class derives from this one and says how an
/// engine with that driver is composed; the cases are the same.
/// </summary>
public abstract partial class InstanceContract : IAsyncLifetime
{
    protected EngineHost Host { get; private set; } = null!;

    private IWorkloads Workloads => Host.Engine.Workloads;

    public async ValueTask InitializeAsync() => Host = await StartEngineAsync();

    public ValueTask DisposeAsync() => Host?.DisposeAsync() ?? ValueTask.CompletedTask;

    /// <summary>An engine whose default isolation is the one under test.</summary>
    protected abstract Task<EngineHost> StartEngineAsync();

    protected bool Has(InstanceCapability capability) => Host.Engine.Drivers[Host.Options.DefaultIsolation].Capabilities.Has(capability);

    [Fact]
    public async Task Output_and_exit_code_of_a_program_are_its_own()
    {
        var (code, output, error) = await Host.CompleteAsync("sh", "-c", "echo out; echo err >&2; exit 7");
        Assert.Equal((7, "out\n", "err\n"), (code, output, error));
    }

    [Fact]
    public async Task Success_is_zero_and_leaves_no_output()
    {
        Assert.Equal((0, "", ""), await Host.CompleteAsync("true"));
    }

    [Fact]
    public async Task Output_after_a_long_silence_is_complete()
    {
        // Longer than a supervisor waits until it gives memory back.
        var (code, output, _) = await Host.CompleteAsync("sh", "-c", "echo one; sleep 2; echo two; sleep 2; head -c 100000 /dev/zero | tr '\\0' x; exit 3");
        Assert.Equal((3, "one\ntwo\n" + new string('x', 100_000)), (code, output));
    }

    [Fact]
    public async Task Death_by_signal_is_128_and_the_signal()
    {
        var (code, _, _) = await Host.CompleteAsync("sh", "-c", "sleep 60 & kill -9 $!; wait $!; exit $?");
        Assert.Equal(137, code);
    }

    [Fact]
    public async Task A_missing_program_fails_the_start_as_not_found()
    {
        var id = await Host.CreateAsync("/no/such/program");
        var error = await Assert.ThrowsAsync<HullException>(() => Workloads.StartAsync(id, default));
        Assert.Equal(ErrorKind.CommandNotFound, error.Kind);
        var state = (await Host.InspectAsync(id)).State;
        Assert.Equal(127, state.ExitCode);
        Assert.False(state.IsRunning);
    }

    [Fact]
    public async Task A_file_that_is_no_program_fails_the_start_as_not_executable()
    {
        var id = await Host.CreateAsync("/etc/plain");
        var error = await Assert.ThrowsAsync<HullException>(() => Workloads.StartAsync(id, default));
        Assert.Equal(ErrorKind.CommandNotExecutable, error.Kind);
    }

    [Fact]
    public async Task Environment_directory_and_user_are_as_asked()
    {
        var config = Host.Config("sh", "-c", "echo $GREETING; pwd; id -u; id -g; id -G; echo $HOME");
        config = config with { Process = config.Process with { Environment = ["GREETING=hello"], WorkingDirectory = "/data", User = "user" } };
        var (code, output, error) = await Host.CompleteAsync(config);
        Assert.Equal((0, "hello\n/data\n1000\n1000\n1000 2000\n/home/user\n", ""), (code, output, error));
    }

    [Fact]
    public async Task A_user_that_does_not_exist_is_an_error_that_names_it()
    {
        var config = Host.Config("true");
        config = config with { Process = config.Process with { User = "nobody-here" } };
        var id = await Host.CreateAsync(config);
        var error = await Assert.ThrowsAsync<HullException>(() => Workloads.StartAsync(id, default));
        Assert.Equal(ErrorKind.InvalidArgument, error.Kind);
        Assert.Contains("nobody-here", error.FullMessage);
    }

    [Fact]
    public async Task A_missing_working_directory_is_made()
    {
        var config = Host.Config("pwd");
        config = config with { Process = config.Process with { WorkingDirectory = "/made/for/this" } };
        Assert.Equal((0, "/made/for/this\n", ""), await Host.CompleteAsync(config));
    }

    [Fact]
    public async Task Input_reaches_the_program_and_its_end_ends_it()
    {
        var config = Host.Config("cat");
        config = config with { Process = config.Process with { OpenInput = true, InputOnce = true } };
        var id = await Host.CreateAsync(config);
        using var wait = Workloads.Wait(id, WaitCondition.NextExit);
        await using var attachment = await Workloads.AttachAsync(id, new AttachRequest(StreamSelection.All), default);
        await Workloads.StartAsync(id, default);
        var text = string.Concat(Enumerable.Range(0, 20000).Select(i => $"line {i}\n"));
        var writing = Task.Run(async () =>
        {
            await attachment.WriteInputAsync(Encoding.ASCII.GetBytes(text), default);
            await attachment.CloseInputAsync();
        });
        var (output, _) = await EngineHost.ReadAllAsync(attachment);
        await writing;
        Assert.Equal(text, output);
        Assert.Equal(0, (await wait.Completion.WaitAsync(TimeSpan.FromSeconds(30))).ExitCode);
    }

    [Fact]
    public async Task A_program_without_input_reads_its_end_at_once()
    {
        Assert.Equal((0, "end\n", ""), await Host.CompleteAsync("sh", "-c", "cat; echo end"));
    }

    [Fact]
    public async Task Several_attachments_see_the_same_bytes()
    {
        var id = await Host.CreateAsync("seq", "1", "5000");
        var attachments = new List<IAttachment>();
        for (var i = 0; i < 3; i++) attachments.Add(await Workloads.AttachAsync(id, new AttachRequest(StreamSelection.Output), default));
        await Workloads.StartAsync(id, default);
        var expected = string.Concat(Enumerable.Range(1, 5000).Select(i => $"{i}\n"));
        foreach (var output in await Task.WhenAll(attachments.Select(EngineHost.ReadAllAsync))) Assert.Equal(expected, output.Output);
        foreach (var attachment in attachments) await attachment.DisposeAsync();
    }

    [Fact]
    public async Task The_log_has_every_line_and_can_be_cut()
    {
        var id = await Host.RunAsync("sh", "-c", "seq 1 3000; echo problem >&2; printf 'no newline'");
        await Host.UntilAsync(id, WorkloadStatus.Exited);
        var all = await Host.LogsAsync(id);
        Assert.Equal(string.Concat(Enumerable.Range(1, 3000).Select(i => $"{i}\n")).Length + "problem\n".Length + "no newline".Length, all.Length);
        Assert.Equal("problem\n", await Host.LogsAsync(id, new LogQuery { Streams = StreamSelection.Error }));
        Assert.Equal("2999\n3000\nno newline", await Host.LogsAsync(id, new LogQuery { Streams = StreamSelection.Output, Tail = 3 }));
        Assert.Equal("", await Host.LogsAsync(id, new LogQuery { Tail = 0 }));
        Assert.Equal("", await Host.LogsAsync(id, new LogQuery { Since = DateTimeOffset.UnixEpoch.AddYears(200) }));
        Assert.Equal("", await Host.LogsAsync(id, new LogQuery { Until = DateTimeOffset.UnixEpoch }));
    }

    [Fact]
    public async Task Following_the_log_ends_with_the_program()
    {
        var id = await Host.RunAsync("sh", "-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done");
        Assert.Equal("1\n2\n3\n4\n5\n", await Host.LogsAsync(id, new LogQuery { Follow = true }));
    }

    [Fact]
    public async Task Logs_rotate_within_their_bounds_and_following_misses_nothing()
    {
        var config = Host.Config("sh", "-c", "seq -w 1 20000; sleep 0.3; seq -w 20001 40000") with
        {
            Log = new LogConfig("local") { Options = new Dictionary<string, string> { ["max-size"] = "200k", ["max-file"] = "50" } },
        };
        var id = await Host.RunAsync(config);
        var text = await Host.LogsAsync(id, new LogQuery { Follow = true });
        Assert.Equal(40000, text.Count(c => c == '\n'));
        Assert.StartsWith("00001\n00002\n", text);
        Assert.EndsWith("39999\n40000\n", text);
        var log = (await Host.InspectAsync(id)).LogPath;
        Assert.True(File.Exists(log + ".1"), "it was never rotated");
        Assert.All(Directory.GetFiles(Path.GetDirectoryName(log)!, "output.log*"), file => Assert.InRange(new FileInfo(file).Length, 0, 200 * 1024));
    }

    [Fact]
    public async Task Exec_runs_beside_the_program_with_its_own_code_and_streams()
    {
        var id = await Host.RunAsync("sleep", "600");
        Assert.Equal((3, "hi\n", "oops\n"), await Host.ExecAsync(id, "sh", "-c", "echo hi; echo oops >&2; exit 3"));
        var config = new ExecConfig { Command = ["sh", "-c", "id -u; echo $ONE; pwd"], User = "user", Environment = ["ONE=1"], WorkingDirectory = "/tmp" };
        Assert.Equal((0, "1000\n1\n/tmp\n", ""), await Host.ExecAsync(id, config));
        Assert.Equal((0, "typed", ""), await Host.ExecAsync(id, new ExecConfig { Command = ["cat"] }, "typed"));
        Assert.True((await Host.InspectAsync(id)).State.IsRunning);
    }

    [Fact]
    public async Task An_exec_that_cannot_be_executed_says_so()
    {
        var id = await Host.RunAsync("sleep", "600");
        var exec = await Host.Engine.Execs.CreateAsync(id, new ExecConfig { Command = ["/no/such"], Attach = StreamSelection.Output }, default);
        var error = await Assert.ThrowsAsync<HullException>(() => Host.Engine.Execs.StartAsync(exec, new ExecStartRequest(), default));
        Assert.Equal(ErrorKind.CommandNotFound, error.Kind);
        Assert.Equal(127, Host.Engine.Execs.Inspect(exec).ExitCode);
    }

    [Fact]
    public async Task Many_execs_at_once_keep_apart()
    {
        var id = await Host.RunAsync("sleep", "600");
        var results = await Task.WhenAll(Enumerable.Range(0, 12).Select(i => Host.ExecAsync(id, "sh", "-c", $"echo {i}; exit {i}")));
        for (var i = 0; i < results.Length; i++) Assert.Equal((i, $"{i}\n", ""), results[i]);
    }

    [Fact]
    public async Task A_terminal_is_one_and_has_the_size_it_was_given()
    {
        var config = Host.Config("sh", "-c", "tty >/dev/null && echo yes; stty size; read x; stty size");
        config = config with { Process = config.Process with { Terminal = true, OpenInput = true, Columns = 91, Rows = 37 } };
        var id = await Host.CreateAsync(config);
        await using var attachment = await Workloads.AttachAsync(id, new AttachRequest(StreamSelection.All), default);
        Assert.True(attachment.Terminal);
        await Workloads.StartAsync(id, default);
        var reading = EngineHost.ReadAllAsync(attachment);
        await EngineHost.EventuallyAsync(async () => (await Host.LogsAsync(id)).Contains("37 91"), "the first size");
        await Workloads.ResizeAsync(id, 132, 43, default);
        await attachment.WriteInputAsync("\n"u8.ToArray(), default);
        var (output, _) = await reading;
        Assert.Contains("yes\r\n37 91\r\n", output);
        Assert.EndsWith("43 132\r\n", output);
    }

    [Fact]
    public async Task An_exec_can_have_a_terminal()
    {
        var id = await Host.RunAsync("sleep", "600");
        var exec = await Host.Engine.Execs.CreateAsync(id, new ExecConfig { Command = ["sh", "-c", "tty >/dev/null && stty size"], Terminal = true, Attach = StreamSelection.Output }, default);
        await using var attachment = await Host.Engine.Execs.StartAsync(exec, new ExecStartRequest(false, 80, 25), default);
        Assert.Equal("25 80\r\n", (await EngineHost.ReadAllAsync(attachment!)).Output);
        Assert.Equal(0, Host.Engine.Execs.Inspect(exec).ExitCode);
    }

    [Fact]
    public async Task Detach_keys_leave_the_program_running()
    {
        var config = Host.Config("cat");
        config = config with { Process = config.Process with { Terminal = true, OpenInput = true } };
        var id = await Host.RunAsync(config);
        await using var attachment = await Workloads.AttachAsync(id, new AttachRequest(StreamSelection.All), default);
        await attachment.WriteInputAsync(new byte[] { 16, 17 }, default);
        await EngineHost.ReadAllAsync(attachment);
        Assert.True((await Host.InspectAsync(id)).State.IsRunning);
    }

    [Fact]
    public async Task Signals_reach_the_program()
    {
        var id = await Host.RunAsync("sh", "-c", "trap 'echo got usr1' USR1; trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done");
        await EngineHost.EventuallyAsync(async () => (await Host.LogsAsync(id)).Contains("ready"), "the traps to be set");
        await Workloads.KillAsync(id, "USR1", default);
        await EngineHost.EventuallyAsync(async () => (await Host.LogsAsync(id)).Contains("got usr1"), "the signal's trace");
        await Workloads.StopAsync(id, new StopRequest(Timeout: 30), default);
        Assert.Equal(5, (await Host.InspectAsync(id)).State.ExitCode);
    }

    [Fact]
    public async Task Stop_kills_what_does_not_listen()
    {
        var id = await Host.RunAsync("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done");
        await EngineHost.EventuallyAsync(async () => (await Host.LogsAsync(id)).Contains("ready"), "the trap to be set");
        await Workloads.StopAsync(id, new StopRequest(Timeout: 1), default);
        var state = (await Host.InspectAsync(id)).State;
        Assert.Equal((WorkloadStatus.Exited, 137), (state.Status, state.ExitCode));
        var again = await Assert.ThrowsAsync<HullException>(() => Workloads.StopAsync(id, new StopRequest(), default));
        Assert.Equal(ErrorKind.NotModified, again.Kind);
    }

    [Fact]
    public async Task It_can_be_started_again_and_keeps_its_files()
    {
        var id = await Host.RunAsync("sh", "-c", "cat /tmp/kept 2>/dev/null; echo kept > /tmp/kept");
        await Host.UntilAsync(id, WorkloadStatus.Exited);
        await Workloads.StartAsync(id, default);
        await Host.UntilAsync(id, WorkloadStatus.Exited);
        Assert.Equal("kept\n", await Host.LogsAsync(id));
    }

    [Fact]
    public async Task Restart_gives_a_new_process()
    {
        var id = await Host.RunAsync("sleep", "600");
        var before = (await Host.InspectAsync(id)).State;
        await Workloads.RestartAsync(id, new StopRequest("KILL"), default);
        var after = (await Host.InspectAsync(id)).State;
        Assert.True(after.IsRunning);
        Assert.NotEqual(before.ProcessId, after.ProcessId);
        Assert.NotEqual(before.StartedAt, after.StartedAt);
    }

    [Fact]
    public async Task Pause_stops_time_and_unpause_lets_it_go_on()
    {
        Assert.SkipUnless(Has(InstanceCapability.Pause), "the driver cannot pause");
        var id = await Host.RunAsync("sh", "-c", "while :; do echo tick; sleep 0.02; done");
        await EngineHost.EventuallyAsync(async () => (await Host.LogsAsync(id)).Length > 0, "the first tick");
        await Workloads.PauseAsync(id, default);
        Assert.Equal(WorkloadStatus.Paused, (await Host.InspectAsync(id)).State.Status);
        await Assert.ThrowsAsync<HullException>(() => Host.ExecAsync(id, "true"));
        await Task.Delay(200);
        var frozen = (await Host.LogsAsync(id)).Length;
        await Task.Delay(300);
        Assert.Equal(frozen, (await Host.LogsAsync(id)).Length);
        await Workloads.UnpauseAsync(id, default);
        await EngineHost.EventuallyAsync(async () => (await Host.LogsAsync(id)).Length > frozen, "time to go on");
        await Workloads.PauseAsync(id, default);
        await Workloads.StopAsync(id, new StopRequest("KILL"), default);
        Assert.Equal(WorkloadStatus.Exited, (await Host.InspectAsync(id)).State.Status);
    }

    [Fact]
    public async Task Limits_show_in_usage_and_can_be_changed()
    {
        Assert.SkipUnless(Has(InstanceCapability.UpdateResources), "the driver cannot change limits");
        var config = Host.Config("sleep", "600") with { Resources = new ResourceLimits { Memory = 128L << 20, PidsLimit = 50 } };
        var id = await Host.RunAsync(config);
        var usage = (await Workloads.StatsAsync(id, false, default)).Current;
        Assert.Equal(128UL << 20, usage.Memory.Limit);
        Assert.True(usage.Memory.Usage > 0);
        Assert.InRange(usage.Pids.Current, 1UL, 50UL);
        Assert.True(usage.Cpu.Total > 0);
        await Workloads.UpdateAsync(id, new UpdateRequest { Resources = new ResourceLimits { Memory = 256L << 20, MemorySwap = -1 } }, default);
        Assert.Equal(256UL << 20, (await Workloads.StatsAsync(id, false, default)).Current.Memory.Limit);
        Assert.Equal(256L << 20, (await Host.InspectAsync(id)).Config.Resources.Memory);
        Assert.Equal(50, (await Host.InspectAsync(id)).Config.Resources.PidsLimit);
    }

    [Fact]
    public async Task Using_too_much_memory_ends_it_and_says_so()
    {
        var config = Host.Config("sh", "-c", "x=a; while :; do x=$x$x; done") with { Resources = new ResourceLimits { Memory = 16L << 20, MemorySwap = 16L << 20 } };
        var id = await Host.RunAsync(config);
        await Host.UntilAsync(id, WorkloadStatus.Exited);
        var state = (await Host.InspectAsync(id)).State;
        Assert.NotEqual(0, state.ExitCode);
        Assert.True(state.OutOfMemory);
    }

    [Fact]
    public async Task Top_lists_the_processes_inside()
    {
        Assert.SkipUnless(Has(InstanceCapability.Top), "the driver has no process list");
        var id = await Host.RunAsync("sleep", "654");
        var table = await Workloads.TopAsync(id, "", default);
        Assert.Contains("PID", table.Titles);
        Assert.Contains(table.Rows, row => row[^1].Contains("sleep 654"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Files_can_be_copied_in_and_out(bool running)
    {
        var id = running ? await Host.RunAsync("sleep", "600") : await Host.CreateAsync("cat", "/home/in/one");
        using var archive = new MemoryStream();
        await using (var writer = new TarWriter(archive, leaveOpen: true))
        {
            await writer.WriteEntryAsync(new PaxTarEntry(TarEntryType.Directory, "in/"));
            await writer.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile, "in/one") { DataStream = new MemoryStream("1\n"u8.ToArray()), Mode = UnixFileMode.UserRead });
        }

        archive.Position = 0;
        await Workloads.WriteArchiveAsync(id, new ArchivePutRequest("/home"), archive, default);
        var stat = await Workloads.StatPathAsync(id, "/home/in/one", default);
        Assert.Equal(("one", 2L, 0x8100u), (stat.Name, stat.Size, stat.Mode));

        using var back = new MemoryStream();
        // Into something that cannot seek, as a connection cannot.
        await Workloads.ReadArchiveAsync(id, "/home/in", (_, _) => Task.FromResult<Stream>(new OneWayStream(back)), default);
        back.Position = 0;
        var reader = new TarReader(back);
        var names = new List<string>();
        while (await reader.GetNextEntryAsync() is { } entry) names.Add(entry.Name);
        Assert.Equal(["in/", "in/one"], names);
        await Assert.ThrowsAsync<HullException>(() => Workloads.StatPathAsync(id, "/home/none", default));
        if (!running)
        {
            await Workloads.StartAsync(id, default);
            await Host.UntilAsync(id, WorkloadStatus.Exited);
            Assert.Equal("1\n", await Host.LogsAsync(id));
        }
    }

    [Fact]
    public async Task Copying_never_leaves_the_root()
    {
        var secret = Host["secret"];
        File.WriteAllBytes(secret, "secret"u8.ToArray());
        var id = await Host.RunAsync("sh", "-c", $"ln -s {Host["."]} /escape; ln -s /../../../..{Host["."]} /up; sleep 600");
        await EngineHost.EventuallyAsync(async () => (await Host.ExecAsync(id, "readlink", "/up")).Code == 0, "the links");
        await Assert.ThrowsAsync<HullException>(() => Workloads.StatPathAsync(id, "/escape/secret", default));
        await Assert.ThrowsAsync<HullException>(() => Workloads.StatPathAsync(id, "/up/secret", default));
        using var archive = new MemoryStream();
        await using (var writer = new TarWriter(archive, leaveOpen: true))
        {
            await writer.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile, "escape/written") { DataStream = new MemoryStream("x"u8.ToArray()) });
        }

        archive.Position = 0;
        // Refused or made inside: the host's directory has no such file either way.
        await Record.ExceptionAsync(() => Workloads.WriteArchiveAsync(id, new ArchivePutRequest("/"), archive, default));
        Assert.False(File.Exists(Host["written"]));
    }

    [Fact]
    public async Task Health_checks_find_out_and_are_seen()
    {
        var config = Host.Config("sh", "-c", "touch /tmp/well; sleep 600") with
        {
            Health = new HealthConfig
            {
                Test = ["CMD-SHELL", "echo checked; test -e /tmp/well"],
                Interval = TimeSpan.FromMilliseconds(100),
                Retries = 2,
            },
        };
        var id = await Host.RunAsync(config);
        Assert.Equal("starting", (await Host.InspectAsync(id)).State.Health!.Status);
        await EngineHost.EventuallyAsync(async () => (await Host.InspectAsync(id)).State.Health!.Status == "healthy", "healthy");
        Assert.Equal("checked\n", (await Host.InspectAsync(id)).State.Health!.Log[^1].Output);
        await Host.ExecAsync(id, "rm", "/tmp/well");
        await EngineHost.EventuallyAsync(async () => (await Host.InspectAsync(id)).State.Health!.Status == "unhealthy", "unhealthy");
        Assert.True((await Host.InspectAsync(id)).State.Health!.FailingStreak >= 2);
    }

    [Fact]
    public async Task An_unhealthy_one_is_restarted_when_asked_for()
    {
        var config = Host.Config("sleep", "600") with
        {
            Process = Host.Config("sleep", "600").Process with { StopSignal = "KILL" },
            Health = new HealthConfig { Test = ["CMD", "false"], Interval = TimeSpan.FromMilliseconds(50), Retries = 1, OnFailure = "restart" },
        };
        var id = await Host.RunAsync(config);
        var first = (await Host.InspectAsync(id)).State.StartedAt;
        await EngineHost.EventuallyAsync(async () => (await Host.InspectAsync(id)).State is { IsRunning: true } state && state.StartedAt != first, "another start");
    }

    [Fact]
    public async Task Restart_policies_bring_it_back_as_often_as_they_say()
    {
        var config = Host.Config("sh", "-c", "echo run; exit 1") with { Restart = new RestartPolicy("on-failure", 2) };
        var id = await Host.RunAsync(config);
        await EngineHost.EventuallyAsync(async () => (await Host.InspectAsync(id)).State is { Status: WorkloadStatus.Exited, RestartCount: 2 }, "the last attempt");
        Assert.Equal("run\nrun\nrun\n", await Host.LogsAsync(id));
    }

    [Fact]
    public async Task Stop_beats_a_restart_policy()
    {
        var id = await Host.RunAsync(Host.Config("sh", "-c", "exit 1") with { Restart = new RestartPolicy("always") });
        await EngineHost.EventuallyAsync(async () => (await Host.InspectAsync(id)).State.RestartCount > 0, "a restart");
        await Workloads.StopAsync(id, new StopRequest(Timeout: 1), default);
        await Task.Delay(400);
        Assert.Equal(WorkloadStatus.Exited, (await Host.InspectAsync(id)).State.Status);
    }

    [Fact]
    public async Task Waits_end_when_they_should()
    {
        var id = await Host.CreateAsync("sh", "-c", "exit 9");
        using var stopped = Workloads.Wait(id, WaitCondition.NotRunning);
        Assert.Equal(0, (await stopped.Completion).ExitCode);
        using var next = Workloads.Wait(id, WaitCondition.NextExit);
        using var removed = Workloads.Wait(id, WaitCondition.Removed);
        Assert.False(next.Completion.IsCompleted);
        await Workloads.StartAsync(id, default);
        Assert.Equal(9, (await next.Completion.WaitAsync(TimeSpan.FromSeconds(30))).ExitCode);
        Assert.False(removed.Completion.IsCompleted);
        await Workloads.RemoveAsync(id, new RemoveRequest(), default);
        Assert.Equal(9, (await removed.Completion.WaitAsync(TimeSpan.FromSeconds(30))).ExitCode);
    }

    [Fact]
    public async Task One_that_is_to_be_removed_at_its_end_is()
    {
        var id = await Host.CreateAsync(Host.Config("true") with { AutoRemove = true });
        using var removed = Workloads.Wait(id, WaitCondition.Removed);
        await Workloads.StartAsync(id, default);
        await removed.Completion.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Null(Workloads.Find(id));
        // Its files are cleared behind the answer.
        await EngineHost.EventuallyAsync(() => Task.FromResult(!Directory.Exists(Path.Combine(Host.Options.DataRoot, "workloads", id))), "its directory to go");
    }

    [Fact]
    public async Task What_runs_must_be_removed_by_force()
    {
        var id = await Host.RunAsync("sleep", "600");
        var error = await Assert.ThrowsAsync<HullException>(() => Workloads.RemoveAsync(id, new RemoveRequest(), default));
        Assert.Equal(ErrorKind.Conflict, error.Kind);
        await Workloads.RemoveAsync(id, new RemoveRequest(Force: true), default);
        Assert.Null(Workloads.Find(id));
    }

    [Fact]
    public async Task An_engine_that_died_finds_everything_again()
    {
        var config = Host.Config("sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done");
        var running = await Host.RunAsync(config);
        var ending = await Host.RunAsync("sh", "-c", "sleep 0.5; exit 42");
        var created = await Host.CreateAsync("true");
        var pid = (await Host.InspectAsync(running)).State.ProcessId;
        var exec = await Host.Engine.Execs.CreateAsync(running, new ExecConfig { Command = ["sh", "-c", "while :; do sleep 0.02; echo > /alive; done"] }, default);
        await Host.Engine.Execs.StartAsync(exec, new ExecStartRequest(Detach: true), default);
        await Host.Engine.DisposeAsync();
        // Without an engine it still ends, and is recorded.
        await EngineHost.EventuallyAsync(() => Task.FromResult(File.Exists(Path.Combine(Host.Options.DataRoot, "workloads", ending, "exit.json"))), "the record of its end");
        await Host.ReplaceEngineAsync();

        var found = await Host.InspectAsync(running);
        Assert.Equal((WorkloadStatus.Running, pid), (found.State.Status, found.State.ProcessId));
        var ended = await Host.InspectAsync(ending);
        Assert.Equal((WorkloadStatus.Exited, 42), (ended.State.Status, ended.State.ExitCode));
        Assert.Equal(WorkloadStatus.Created, (await Host.InspectAsync(created)).State.Status);
        Assert.Equal((0, "x\n", ""), await Host.ExecAsync(running, "echo", "x"));
        // An exec runs on, but is forgotten, as with Docker.
        Assert.Equal((0, "", ""), await Host.ExecAsync(running, "sh", "-c", "rm -f /alive; until [ -e /alive ]; do sleep 0.02; done"));
        Assert.Equal(ErrorKind.NotFound, Assert.Throws<HullException>(() => Host.Engine.Execs.Inspect(exec)).Kind);
        Assert.Empty(found.ExecIds);
        await Workloads.StopAsync(running, new StopRequest("KILL"), default);
        var lines = (await Host.LogsAsync(running)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(Enumerable.Range(0, lines.Length).Select(i => i.ToString()), lines);
    }

    [Fact]
    public async Task Changes_are_announced_in_order()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var events = Host.Engine.Events.SubscribeAsync(new Engine.Events.EventFilter(), limit.Token);
        var id = await Host.RunAsync("true");
        await Host.UntilAsync(id, WorkloadStatus.Exited);
        await Workloads.RemoveAsync(id, new RemoveRequest(), default);
        var actions = new List<string>();
        await foreach (var what in events)
        {
            if (what.Id == id) actions.Add(what.Action);
            if (what.Action == "destroy") break;
        }

        Assert.Equal(["create", "start", "die", "destroy"], actions);
    }

    [Fact]
    public async Task Hostname_and_read_only_root_are_honoured()
    {
        var config = Host.Config("sh", "-c", "hostname; touch /new 2>/dev/null || echo refused; touch /tmp/new && echo allowed");
        config = config with
        {
            Networking = config.Networking with { Hostname = "ship" },
            Security = new SecurityConfig { ReadOnlyRoot = true },
            Mounts = [new MountConfig { Type = "tmpfs", Target = "/tmp" }],
        };
        Assert.Equal((0, "ship\nrefused\nallowed\n", ""), await Host.CompleteAsync(config));
    }

    [Fact]
    public async Task A_running_one_is_duplicated_with_its_memory_and_files()
    {
        var id = await Host.RunAsync("sh", "-c", "n=0; echo kept > /file; while :; do n=$((n+1)); echo $n > /m; mv /m /n; sleep 0.05; done");
        if (!Has(InstanceCapability.Fork))
        {
            var error = await Assert.ThrowsAsync<HullException>(() => Workloads.ForkAsync(id, new ForkRequest(1, []), default));
            Assert.Equal(ErrorKind.Unsupported, error.Kind);
            return;
        }

        await EngineHost.EventuallyAsync(async () => int.TryParse((await Host.ExecAsync(id, "cat", "/n")).Output, out var n) && n > 5, "it to count");
        var before = int.Parse((await Host.ExecAsync(id, "cat", "/n")).Output);
        var forks = await Workloads.ForkAsync(id, new ForkRequest(2, ["first"]), default);
        Assert.InRange(forks.Pause, TimeSpan.FromTicks(1), TimeSpan.FromSeconds(30));
        var seen = new HashSet<string>();
        foreach (var one in (string[])[id, .. forks.Ids])
        {
            var (code, output, error) = await Host.ExecAsync(one, "sh", "-c", "cat /file /n; hostname; head -c 16 /dev/urandom | md5sum");
            Assert.Equal((0, ""), (code, error));
            var lines = output.Split('\n');
            Assert.Equal("kept", lines[0]);
            Assert.InRange(int.Parse(lines[1]), before, int.MaxValue);
            Assert.Equal(one[..12], lines[2]);
            Assert.True(seen.Add(lines[2]) && seen.Add(lines[3]), $"{one} has a name or random numbers in common with another");
            // Each goes on by itself.
            await EngineHost.EventuallyAsync(async () => int.TryParse((await Host.ExecAsync(one, "cat", "/n")).Output, out var n) && n > int.Parse(lines[1]), "it to count on");
        }

        await Workloads.StopAsync(id, new StopRequest("KILL"), default);
        Assert.Equal((0, "kept\n", ""), await Host.ExecAsync(forks.Ids[1], "cat", "/file"));
    }

    [Fact]
    public async Task It_goes_back_to_what_was_saved()
    {
        var id = await Host.RunAsync("sh", "-c", "x=first; trap 'x=second' USR1; while :; do echo $x > /x; sleep 0.05; done");
        if (!Has(InstanceCapability.Snapshot))
        {
            var error = await Assert.ThrowsAsync<HullException>(() => Workloads.SaveSnapshotAsync(id, "early", default));
            Assert.Equal(ErrorKind.Unsupported, error.Kind);
            return;
        }

        await EngineHost.EventuallyAsync(async () => (await Host.ExecAsync(id, "cat", "/x")).Output == "first\n", "its first word");
        await Workloads.SaveSnapshotAsync(id, "early", default);
        Assert.Equal(["early"], Workloads.Snapshots(id).Select(snapshot => snapshot.Name));
        await Workloads.KillAsync(id, "USR1", default);
        await EngineHost.EventuallyAsync(async () => (await Host.ExecAsync(id, "cat", "/x")).Output == "second\n", "its second word");
        await Host.ExecAsync(id, "touch", "/later");
        // Also for an engine that did not save it.
        await Host.ReplaceEngineAsync();
        await Workloads.RestoreSnapshotAsync(id, "early", default);
        await EngineHost.EventuallyAsync(async () => (await Host.ExecAsync(id, "cat", "/x")).Output == "first\n", "its first word again");
        Assert.NotEqual(0, (await Host.ExecAsync(id, "test", "-e", "/later")).Code);
        await Workloads.RemoveSnapshotAsync(id, "early", default);
        Assert.Empty(Workloads.Snapshots(id));
    }

    [Fact]
    public async Task Directories_of_the_host_can_be_shared()
    {
        Assert.SkipUnless(Has(InstanceCapability.BindMounts), "the driver cannot share directories");
        Directory.CreateDirectory(Host["shared"]);
        File.WriteAllBytes(Host["shared/in"], "from outside\n"u8.ToArray());
        var config = Host.Config("sh", "-c", "cat /mnt/in; echo from inside > /mnt/out; touch /ro/x 2>/dev/null || echo refused") with
        {
            Mounts =
            [
                new MountConfig { Type = "bind", Source = Host["shared"], Target = "/mnt" },
                new MountConfig { Type = "bind", Source = Host["shared"], Target = "/ro", ReadOnly = true },
            ],
        };
        Assert.Equal((0, "from outside\nrefused\n", ""), await Host.CompleteAsync(config));
        Assert.Equal("from inside\n", File.ReadAllText(Host["shared/out"]));
    }
}

/// <summary>Passes what is written on, and can do nothing else.</summary>
internal sealed class OneWayStream(Stream inner) : Stream
{
    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override void Flush() => inner.Flush();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => inner.Write(buffer, offset, count);
}
