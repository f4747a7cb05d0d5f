using System.Runtime.InteropServices;
using System.Text;
using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;
using Hull.Linux.Processes;
using Hull.Linux.Seccomp;
using Hull.Linux.Syscalls;
using Hull.Linux.Tracing;

namespace Hull.Linux.Tests.Tracing;

public sealed class ProcessTwinTests
{
    [Fact]
    public void A_twin_goes_on_where_the_original_was_with_descriptors_of_its_own()
    {
        RequireTracing();
        using var original = new Echo();
        Assert.Equal("one", original.Ask("one"));
        ProcessTwin.Prepare(original.Process.Pid);
        using var streams = new Streams();
        using var twin = ProcessTwin.Create(original.Process.Pid, new TwinOptions { Descriptors = streams.ForProcess });
        // Both wait in the read they were in, and neither takes the other's input.
        Assert.Equal("twin", streams.Ask("twin"));
        Assert.Equal("original", original.Ask("original"));
        Assert.Equal("twin again", streams.Ask("twin again"));
        twin.Kill(9);
        ProcessCalls.Wait(twin.Pid, 0, out _);
        Assert.Equal("alone", original.Ask("alone"));
    }

    [Fact]
    public void A_twin_is_confined_and_has_its_own_name_and_namespaces()
    {
        RequireTracing();
        using var original = new Echo("name-of-original");
        using var streams = new Streams();
        var told = 0;
        using var twin = ProcessTwin.Create(original.Process.Pid, new TwinOptions
        {
            Descriptors = streams.ForProcess,
            Namespaces = CloneFlags.CLONE_NEWPID | CloneFlags.CLONE_NEWNS | CloneFlags.CLONE_NEWNET,
            Unmounts = ["/proc"],
            UserId = 1_999_999_999,
            Filter = SeccompFilter.Get(new SeccompPolicy
            {
                DefaultAction = SeccompAction.Allow, Rules = [new SeccompRule(["execve"], SeccompAction.Errno, 1, [])],
            }, null),
            Name = ("name-of-original", "the-name-of-twin"),
            Prepare = pid => told = pid,
        });
        Assert.Equal(twin.Pid, told);
        Assert.Equal("echo", streams.Ask("echo"));
        var status = File.ReadAllLines($"/proc/{twin.Pid}/status");
        Assert.Contains(status, line => line.StartsWith("NSpid:", StringComparison.Ordinal) && line.EndsWith("\t1", StringComparison.Ordinal));
        RequireConfined(status);
        Assert.DoesNotContain(" /proc ", File.ReadAllText($"/proc/{twin.Pid}/mountinfo"));
        Assert.Contains("the-name-of-twin", File.ReadAllText($"/proc/{twin.Pid}/cmdline"));
        Assert.Contains("name-of-original", File.ReadAllText($"/proc/{original.Process.Pid}/cmdline"));
        twin.Kill(9);
        ProcessCalls.Wait(twin.Pid, 0, out _);
    }

    [Fact]
    public void A_twin_of_one_without_privileges_is_another_user_in_namespaces_of_its_own()
    {
        RequireTracing();
        using var original = new Echo();
        using var streams = new Streams();
        using var further = new Streams();
        using var confined = ProcessTwin.Create(original.Process.Pid, new TwinOptions
        {
            Descriptors = streams.ForProcess,
            UserId = 1_999_999_998,
            // Nothing that makes a twin is allowed to it.
            Filter = SeccompFilter.Get(new SeccompPolicy
            {
                DefaultAction = SeccompAction.Allow,
                Rules = [new SeccompRule(["clone", "recvmsg", "socketpair", "dup3", "eventfd2", "setresuid", "setgroups", "capset"], SeccompAction.Errno, 1, [])],
            }, null),
        });
        Assert.Equal("confined", streams.Ask("confined"));
        using var twin = ProcessTwin.Create(confined.Pid, new TwinOptions
        {
            Descriptors = further.ForProcess,
            Namespaces = CloneFlags.CLONE_NEWUSER | CloneFlags.CLONE_NEWNS | CloneFlags.CLONE_NEWIPC | CloneFlags.CLONE_NEWUTS | CloneFlags.CLONE_NEWNET,
            UserId = 1_999_999_999,
        });
        Assert.Equal("twin", further.Ask("twin"));
        Assert.Equal("still confined", streams.Ask("still confined"));
        RequireConfined(File.ReadAllLines($"/proc/{twin.Pid}/status"));
        foreach (var kind in (string[])["user", "mnt", "net", "ipc", "uts"])
            Assert.NotEqual(new FileInfo($"/proc/{confined.Pid}/ns/{kind}").LinkTarget, new FileInfo($"/proc/{twin.Pid}/ns/{kind}").LinkTarget);
        // It does not end with the one it was made of.
        confined.Kill(9);
        ProcessCalls.Wait(confined.Pid, 0, out _);
        Assert.Equal("alone", further.Ask("alone"));
        twin.Kill(9);
        ProcessCalls.Wait(twin.Pid, 0, out _);
    }

    [Fact]
    public void What_fails_leaves_the_original_as_it_was_and_no_twin()
    {
        RequireTracing();
        using var original = new Echo();
        using var streams = new Streams();
        var made = 0;
        Assert.Throws<HullException>(() => ProcessTwin.Create(original.Process.Pid, new TwinOptions
        {
            Descriptors = streams.ForProcess, Namespaces = CloneFlags.CLONE_NEWNS, Unmounts = ["/no/such/mount"], Prepare = pid => made = pid,
        }));
        ProcessCalls.Wait(made, 0, out _);
        Assert.False(Directory.Exists($"/proc/{made}"));
        Assert.Equal("on", original.Ask("on"));
    }

    [Fact]
    public void A_process_that_is_gone_is_an_error()
    {
        RequireTracing();
        var child = ChildProcess.Start(new ChildProcessOptions("true"));
        child.Wait();
        Assert.Throws<HullException>(() => ProcessTwin.Create(child.Pid, new TwinOptions { Descriptors = new Dictionary<int, SafeFd>() }));
    }

    [Fact]
    public void What_is_known_only_later_is_asked_for_while_the_twin_stands_still_and_the_original_runs()
    {
        RequireTracing();
        using var original = new Echo();
        using var streams = new Streams();
        var none = new Dictionary<int, SafeFd>();
        using var twin = ProcessTwin.Create(original.Process.Pid, new TwinOptions
        {
            Descriptors = none,
            Rest = () =>
            {
                // It has the same input still, and takes nothing of it.
                Assert.Equal("meanwhile", original.Ask("meanwhile"));
                return new TwinOptions { Descriptors = streams.ForProcess, UserId = 1_999_999_999 };
            },
        });
        Assert.Equal("late", streams.Ask("late"));
        Assert.Contains("Uid:\t1999999999\t1999999999\t1999999999\t1999999999", File.ReadAllLines($"/proc/{twin.Pid}/status"));
        Assert.Contains("CapBnd:\t0000000000000000", File.ReadAllLines($"/proc/{twin.Pid}/status"));
        twin.Kill(9);
        ProcessCalls.Wait(twin.Pid, 0, out _);
        Assert.Throws<HullException>(() => ProcessTwin.Create(original.Process.Pid, new TwinOptions
        {
            Descriptors = none, Rest = () => throw new HullException(ErrorKind.Conflict, "nobody wants it"),
        }));
        Assert.Equal("on", original.Ask("on"));
    }

    [Fact]
    public void A_process_that_does_not_stop_is_given_up_and_goes_on_later()
    {
        RequireTracing();
        Assert.SkipUnless(CgroupManager.Version == CgroupVersion.V1, "what is frozen can be traced with cgroup v2");
        using var original = new Echo();
        using var streams = new Streams();
        var cgroup = CgroupManager.Name("twin", "/hull-test-" + Guid.NewGuid().ToString("N")[..8]);
        cgroup.Prepare(new CgroupLimits()).Dispose();
        try
        {
            cgroup.Add(original.Process.Pid);
            cgroup.Freeze();
            var began = TimeProvider.System.GetTimestamp();
            var error = Assert.Throws<HullException>(() => ProcessTwin.Create(original.Process.Pid, new TwinOptions
            {
                Descriptors = streams.ForProcess, MostWait = TimeSpan.FromMilliseconds(200),
            }));
            Assert.True(error.Kind is ErrorKind.Timeout or ErrorKind.Unavailable, error.FullMessage);
            Assert.InRange(TimeProvider.System.GetElapsedTime(began), TimeSpan.Zero, TimeSpan.FromSeconds(5));
            cgroup.Thaw();
            Assert.Equal("thawed", original.Ask("thawed"));
        }
        finally
        {
            cgroup.Thaw();
            original.Process.Kill(9);
            original.Process.Wait();
            cgroup.Remove();
        }
    }

    private static void RequireConfined(string[] status)
    {
        Assert.Contains("Uid:\t1999999999\t1999999999\t1999999999\t1999999999", status);
        Assert.Contains("Gid:\t1999999999\t1999999999\t1999999999\t1999999999", status);
        Assert.Contains("CapEff:\t0000000000000000", status);
        Assert.Contains("CapPrm:\t0000000000000000", status);
        Assert.Contains("CapBnd:\t0000000000000000", status);
        Assert.Contains("NoNewPrivs:\t1", status);
        Assert.Contains("Seccomp:\t2", status);
    }

    private static void RequireTracing()
    {
        Assert.SkipUnless(ProcessCalls.GetEffectiveUser() == 0, "needs root");
        Assert.SkipUnless(RuntimeInformation.ProcessArchitecture == Architecture.X64, "twins are made on x86-64 only");
    }

    /// <summary>Both ends of a program's standard input and output.</summary>
    private class Streams : IDisposable
    {
        private readonly (SafeFd Read, SafeFd Write) _input = FileCalls.Pipe();
        private readonly (SafeFd Read, SafeFd Write) _output = FileCalls.Pipe();

        public SafeFd Stdin => _input.Read;

        public SafeFd Stdout => _output.Write;

        public Dictionary<int, SafeFd> ForProcess => new() { [0] = Stdin, [1] = Stdout };

        /// <summary>Writes a line and reads as much.</summary>
        public string Ask(string line)
        {
            var bytes = Encoding.UTF8.GetBytes(line + "\n");
            FileCalls.Write(_input.Write.Value, bytes);
            var answer = new byte[bytes.Length];
            for (var read = 0; read < answer.Length;)
            {
                var count = (int)FileCalls.Read(_output.Read.Value, answer.AsSpan(read));
                Assert.True(count > 0, "the program's output ended");
                read += count;
            }

            return Encoding.UTF8.GetString(answer).TrimEnd('\n');
        }

        public virtual void Dispose()
        {
            foreach (var end in (SafeFd[])[_input.Read, _input.Write, _output.Read, _output.Write]) end.Dispose();
        }
    }

    /// <summary>A program that says what it is told: cat, which copies one line at a time to a pipe.</summary>
    private sealed class Echo : Streams
    {
        public Echo(string name = "cat")
        {
            Process = ChildProcess.Start(new ChildProcessOptions("cat") { CalledAs = name, Stdin = Stdin, Stdout = Stdout });
            while (!File.ReadAllText($"/proc/{Process.Pid}/syscall").StartsWith("0 ", StringComparison.Ordinal)) Thread.Yield();
        }

        public ChildProcess Process { get; }

        public override void Dispose()
        {
            Process.Kill(9);
            Process.Wait();
            Process.Dispose();
            base.Dispose();
        }
    }
}
