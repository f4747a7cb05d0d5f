using System.Text;
using Hull.Core;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Tests.Processes;

public sealed class ChildProcessTests
{
    [Fact]
    public void Output_error_input_and_code_come_through()
    {
        var result = ChildProcess.Run(new("sh", "-c", "cat; echo err >&2; exit 7"), "in"u8.ToArray());
        Assert.Equal(("in", "err\n", 7, 0), (result.OutputText, result.ErrorText, result.Status.Code, result.Status.Signal));
        Assert.Contains("err", Assert.Throws<HullException>(() => result.RequireSuccess()).Message);
    }

    [Fact]
    public void Nothing_is_inherited_but_what_is_named()
    {
        using var extra = FileCalls.Pipe().Read;
        using var leak = Hull.Linux.SafeFd.Borrow(FileCalls.Fcntl(extra.Value, Hull.Linux.Abi.Fcntl.F_GETFD) >= 0 ? extra.Value : -1);
        _ = FileCalls.Fcntl(extra.Value, Hull.Linux.Abi.Fcntl.F_SETFD, 0);
        var result = ChildProcess.Run(new("ls", "/proc/self/fd")).RequireSuccess();
        // ls opens the directory itself as 3.
        Assert.Equal("0\n1\n2\n3\n", result.OutputText);
        var blocked = ChildProcess.Run(new("grep", "-E", "Sig(Blk|Ign)", "/proc/self/status")).RequireSuccess();
        Assert.DoesNotContain("1", blocked.OutputText.Replace("SigBlk", "").Replace("SigIgn", ""));
    }

    [Fact]
    public void Environment_directory_and_descriptors_are_the_callers()
    {
        var (read, write) = FileCalls.Pipe();
        using (read)
        using (write)
        {
            var child = ChildProcess.Start(new("/bin/sh", "-c", "echo $A $PWD >&4")
            {
                Environment = new Dictionary<string, string> { ["A"] = "b" },
                WorkingDirectory = "/usr",
                ExtraDescriptors = [read, write],
            });
            Assert.True(child.Wait().Succeeded);
            var buffer = new byte[100];
            var count = (int)FileCalls.Read(read.Value, buffer);
            Assert.Equal("b /usr\n", Encoding.UTF8.GetString(buffer, 0, count));
            child.Dispose();
        }
    }

    [Theory]
    [InlineData("/nonexistent/program", ErrorKind.CommandNotFound)]
    [InlineData("/etc/passwd", ErrorKind.CommandNotExecutable)]
    public void A_program_that_cannot_run_is_an_error_of_start(string program, ErrorKind kind) =>
        Assert.Equal(kind, Assert.Throws<HullException>(() => ChildProcess.Start(new(program))).Kind);

    [Fact]
    public void A_timeout_kills()
    {
        var error = Assert.Throws<HullException>(() => ChildProcess.Run(new("sleep", "60"), timeout: TimeSpan.FromMilliseconds(50)));
        Assert.Equal(ErrorKind.Timeout, error.Kind);
    }

    [Fact]
    public void Output_beyond_the_bound_is_dropped_and_does_not_block() =>
        Assert.Equal(1000, ChildProcess.Run(new("head", "-c", "3000000", "/dev/zero"), capture: 1000).RequireSuccess().Output.Length);

    [Fact]
    public async Task An_end_is_awaited_and_a_wait_can_be_cancelled()
    {
        using var child = ChildProcess.Start(new("sleep", "60"));
        using var cancel = new CancellationTokenSource(20);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => child.WaitAsync(cancel.Token));
        child.Kill(9);
        Assert.Equal(9, (await child.WaitAsync(TestContext.Current.CancellationToken)).Signal);
        child.Kill(9);
    }
}
