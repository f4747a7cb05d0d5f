using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Children;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;
using Hull.Testing;

namespace Hull.Linux.Tests.Children;

public sealed class ChildProgramTests
{
    [Fact]
    public void A_program_ends_in_the_execution_of_another()
    {
        var (read, write) = FileCalls.Pipe();
        using (read)
        {
            var (report, status) = Run(program =>
            {
                program.Place(program.Inherit(write), 1);
                var path = program.FindExecutable("echo", ["/nonexistent", "/bin"]);
                program.ResetSignals();
                program.Execute(path, program.TextArray(["echo", "from the child"]), program.TextArray([]), "echo");
            });
            write.Dispose();
            Assert.Null(report);
            Assert.True(status.Succeeded);
            Assert.Equal("from the child\n"u8.ToArray(), read.ReadToEnd());
        }
    }

    [Fact]
    public void A_failure_is_told_with_its_words()
    {
        var (report, status) = Run(program => program.OpenAt(program.NewSlot(), Fcntl.AT_FDCWD, "/nonexistent", 0));
        Assert.Equal((ErrorKind.NotFound, "open /nonexistent: no such file or directory"), (report!.Kind, report.Message));
        Assert.Equal(1, status.Code);
    }

    [Theory]
    [InlineData("nope", ErrorKind.CommandNotFound)]
    [InlineData("/etc", ErrorKind.CommandNotExecutable)]
    [InlineData("/etc/passwd", ErrorKind.CommandNotExecutable)]
    [InlineData("/etc/passwd/x", ErrorKind.CommandNotFound)]
    public void What_cannot_be_executed_has_its_kind(string name, ErrorKind kind) =>
        Assert.Equal(kind, Run(program => program.FindExecutable(name, ["/bin"])).Report!.Kind);

    [Fact]
    public void A_program_can_be_named_when_the_child_is_there()
    {
        var (read, write) = FileCalls.Pipe();
        using (read)
        {
            var (report, status) = RunDeferred(["echo", "told", "later"], ["PATH=/nonexistent:/bin", "MORE=" + new string('m', 40_000)], program => program.Place(program.Inherit(write), 1));
            write.Dispose();
            Assert.Null(report);
            Assert.True(status.Succeeded);
            Assert.Equal("told later\n"u8.ToArray(), read.ReadToEnd());
        }
    }

    [Theory]
    [InlineData("nope", ErrorKind.CommandNotFound)]
    [InlineData("./nope", ErrorKind.CommandNotFound)]
    [InlineData("/etc", ErrorKind.CommandNotExecutable)]
    [InlineData("/etc/passwd", ErrorKind.CommandNotExecutable)]
    public void What_is_named_later_and_cannot_be_executed_has_its_kind(string name, ErrorKind kind) =>
        Assert.Equal(kind, RunDeferred([name], ["PATH=/bin"]).Report!.Kind);

    [Fact]
    public void What_does_not_fit_is_not_named_later()
    {
        using var program = new ChildProgram();
        foreach (var (arguments, environment) in (ReadOnlySpan<(string[], string[])>)
        [
            (["true", new string('x', DeferredProgram.Size)], []),
            (["true"], ["PATH=" + string.Join(':', Enumerable.Range(0, DeferredProgram.MaxCandidates + 1).Select(index => $"/{index}"))]),
        ])
        {
            Assert.False(DeferredProgram.Fits(arguments, environment));
            Assert.Equal(ErrorKind.InvalidArgument, Assert.Throws<HullException>(() => program.DeferProgram().Compose(arguments, environment)).Kind);
        }

        Assert.True(DeferredProgram.Fits(["true"], []));
    }

    [Fact]
    public void Errors_are_tolerated_only_where_named()
    {
        var (report, _) = Run(program =>
        {
            program.MkdirAt(Fcntl.AT_FDCWD, "/proc", 0).Ignore(Errno.EEXIST);
            program.MkdirAt(Fcntl.AT_FDCWD, "/nonexistent/x", 0).Ignore(Errno.EEXIST);
        });
        Assert.Contains("/nonexistent/x", report!.Message);
    }

    [Fact]
    public void Jumps_compare_and_carry_values()
    {
        var (report, status) = Run(program =>
        {
            var (pid, expected, unreached) = (program.NewSlot(), new Label(), new Label());
            program.Call("get the pid", null, SyscallNumber.SYS_getppid, result: pid);
            program.Expect("compare", null, pid, ProcessCalls.GetPid()).OnSuccess(expected).OnFailure(unreached);
            program.Mark(unreached);
            program.Fail("compare", "the parent", (int)Errno.EINVAL);
            program.Mark(expected);
            program.Call("end", null, SyscallNumber.SYS_exit_group, 42);
        });
        Assert.Null(report);
        Assert.Equal(42, status.Code);
    }

    [Fact]
    public void Only_inherited_descriptors_are_open_in_the_child()
    {
        using var leak = FileCalls.Pipe().Read;
        _ = FileCalls.Fcntl(leak.Value, Fcntl.F_SETFD, 0);
        var (report, _) = Run(program => program.Call("look at", "a leaked descriptor", SyscallNumber.SYS_fcntl, leak.Value, Fcntl.F_GETFD));
        Assert.Equal(Errno.EBADF, report!.Errno);
    }

    [Fact]
    public void The_death_of_the_parent_ends_a_waiting_child()
    {
        var (parent, child) = ChildReport.CreateChannel(3);
        using var program = new ChildProgram();
        var socket = program.Inherit(child);
        program.Set(program.Report, socket);
        program.WaitFor(socket, 1);
        var (pid, pidfd) = ChildLauncher.Start(program, new CloneOptions());
        child.Dispose();
        parent.Dispose();
        using var process = ChildProcess.Adopt(pid, pidfd, "child");
        Assert.Equal(1, process.Wait().Code);
    }

    [Fact]
    public async Task Clones_are_safe_while_other_threads_collect_garbage()
    {
        using var stop = new CancellationTokenSource();
        var allocator = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested) GC.KeepAlive(new byte[100_000]);
        });
        for (var i = 0; i < 200; i++)
        {
            var (report, status) = Run(program => program.Call("end", null, SyscallNumber.SYS_exit_group, 0));
            Assert.Null(report);
            Assert.True(status.Succeeded);
        }

        await stop.CancelAsync();
        await allocator;
    }

    private static (HullException? Report, ExitStatus Status) RunDeferred(string[] arguments, string[] environment, Action<ChildProgram>? write = null)
    {
        var (ours, theirs) = SocketCalls.CreatePair(Sockets.SOCK_SEQPACKET);
        using (ours)
        using (theirs)
        {
            return Run(program =>
            {
                write?.Invoke(program);
                var deferred = program.DeferProgram();
                program.Receive(deferred, program.Inherit(theirs));
                program.ResetSignals();
                program.Execute(deferred);
                Check.Result(SocketCalls.Send(ours.Value, deferred.Compose(arguments, environment)), $"name the program");
            });
        }
    }

    private static (HullException? Report, ExitStatus Status) Run(Action<ChildProgram> write)
    {
        var (parent, child) = ChildReport.CreateChannel(3);
        using var program = new ChildProgram();
        var socket = program.Inherit(child);
        program.Set(program.Report, socket);
        write(program);
        var (pid, pidfd) = ChildLauncher.Start(program, new CloneOptions());
        child.Dispose();
        using var process = ChildProcess.Adopt(pid, pidfd, "child");
        using (parent)
        {
            HullException? report = null;
            try
            {
                Assert.True(ChildReport.Receive(parent, program, []).Ended);
            }
            catch (HullException error)
            {
                report = error;
            }

            return (report, process.Wait());
        }
    }
}
