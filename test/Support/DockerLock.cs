namespace Hull.Testing;

/// <summary>One dockerd runs on a machine at a time: they share the firewall and containerd's names. The lock is flock(1)'s.</summary>
public static class DockerLock
{
    /// <summary>Waits for the lock, which ends with the stream.</summary>
    public static FileStream Take()
    {
        for (var i = 0; i < 3000; i++)
        {
            try
            {
                return new FileStream("/tmp/hull-dockerd.lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException)
            {
                Thread.Sleep(100);
            }
        }

        throw new TimeoutException("another dockerd holds /tmp/hull-dockerd.lock");
    }
}
