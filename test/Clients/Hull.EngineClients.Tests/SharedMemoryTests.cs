using Hull.Testing;

namespace Hull.EngineClients.Tests;

/// <summary><c>--ipc</c> of the docker CLI: who has shared memory with whom.</summary>
public sealed class SharedMemoryTests(Engine engine)
{
    [Fact]
    public void AContainerThatJoinsAnothersIpcHasItsSharedMemory()
    {
        Run("run", "-d", "--name", "donor", "--ipc", "shareable", "--shm-size", "1m", "busybox", "sh", "-c", "echo shared > /dev/shm/file; sleep 1000");
        Assert.Equal("shared", Run("run", "--rm", "--ipc", "container:donor", "busybox", "sh", "-c", "cat /dev/shm/file && echo back > /dev/shm/answer"));
        Assert.Equal("back", Run("exec", "donor", "cat", "/dev/shm/answer"));
        Run("run", "-d", "--name", "joined", "--ipc", "container:donor", "busybox", "sleep", "1000");
        Assert.Equal(Namespace("donor"), Namespace("joined"));
        // It outlives the donor, and starts again only while that runs.
        Run("stop", "-t", "0", "donor");
        Assert.Equal("back", Run("exec", "joined", "cat", "/dev/shm/answer"));
        Assert.Contains("not running", engine.Docker(Engine.Client, "restart", "-t", "0", "joined").Error);
        Run("start", "donor");
        Run("start", "joined");
        Assert.Equal("shared", Run("exec", "joined", "cat", "/dev/shm/file"));
        Run("rm", "-f", "donor", "joined");
        Assert.Empty(Directory.EnumerateFileSystemEntries(engine.Path("run/shm")));
    }

    [Fact]
    public void PrivateSharedMemoryIsNobodyElses()
    {
        Run("run", "-d", "--name", "alone", "busybox", "sleep", "1000");
        Assert.Contains("--ipc shareable", engine.Docker(Engine.Client, "run", "--rm", "--ipc", "container:alone", "busybox", "true").Error);
        Run("rm", "-f", "alone");
    }

    private string Namespace(string name) => new FileInfo($"/proc/{Run("inspect", "--format", "{{.State.Pid}}", name)}/ns/ipc").LinkTarget!;

    private string Run(params string[] words) => engine.Docker(Engine.Client, words).Ok().Trimmed;
}
