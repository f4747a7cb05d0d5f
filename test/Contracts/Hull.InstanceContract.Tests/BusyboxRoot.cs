using Hull.Testing;

namespace Hull.InstanceContract.Tests;

/// <summary>A root file system of the static busybox: enough of a system for every case.</summary>
public static class BusyboxRoot
{
    private static readonly string[] s_applets =
    [
        "sh", "ls", "cat", "echo", "true", "false", "sleep", "id", "env", "pwd", "kill", "ps", "mkdir", "rm", "touch", "head", "tail", "seq",
        "stty", "tty", "hostname", "mount", "grep", "wc", "dd", "nc", "ip", "ping", "wget", "httpd", "ulimit", "stat", "readlink", "chmod",
        "chown", "ln", "cp", "mv", "test", "yes", "date", "nproc", "free", "df", "which", "printf", "cut", "tr", "sort", "md5sum", "trap", "od",
    ];

    public static void Make(string directory)
    {
        var busybox = File.Exists("/bin/busybox") ? "/bin/busybox" : Require.Program("busybox");
        foreach (var name in (string[])["bin", "etc", "proc", "sys", "dev", "tmp", "root", "home/user", "var", "data"])
            Directory.CreateDirectory(Path.Combine(directory, name));
        Repository.CopyProgram(busybox, Path.Combine(directory, "bin/busybox"));
        foreach (var applet in s_applets) File.CreateSymbolicLink(Path.Combine(directory, "bin", applet), "busybox");
        Write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:User:/home/user:/bin/sh\n");
        Write("etc/group", "root:x:0:\nwheel:x:10:root\nuser:x:1000:\nextra:x:2000:user\n");
        Write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        Write("etc/plain", "not a program\n");
        Write("data/seed", "seed\n");

        void Write(string name, string text) => File.WriteAllBytes(Path.Combine(directory, name), System.Text.Encoding.ASCII.GetBytes(text));
    }
}
