using Hull.Testing;

namespace Hull.RuntimeContract.Tests;

/// <summary>A root file system of one static program, busybox, made once and hard-linked into each bundle.</summary>
internal static class Rootfs
{
    private static readonly Lazy<string> Template = new(MakeTemplate);

    private static readonly string[] Applets =
    [
        "sh", "true", "false", "sleep", "cat", "echo", "ls", "id", "env", "pwd", "stat", "mount", "umount", "hostname", "readlink",
        "grep", "head", "tail", "dd", "mknod", "mkdir", "rm", "touch", "test", "[", "kill", "ps", "tr", "cut", "sed", "awk", "wc",
        "ln", "chmod", "chown", "nproc", "tty", "stty", "printf", "sort", "find", "uname", "chroot", "nice", "trap", "usleep", "cp",
        "ip", "df", "dnsdomainname", "getopt", "setsid", "timeout", "yes", "od", "cmp", "unshare", "nsenter", "date",
    ];

    /// <summary>Copies the template to a place that does not exist.</summary>
    internal static void CopyTo(string path) => Command.Run("cp", "-al", Template.Value, path).Ok();

    internal static void RemoveTemplate()
    {
        if (Template.IsValueCreated) Directory.Delete(Template.Value, recursive: true);
    }

    private static string MakeTemplate()
    {
        // Beside the bundles, so that hard links work.
        var root = Directory.CreateTempSubdirectory("hull-rootfs-").FullName;
        File.SetUnixFileMode(root, (UnixFileMode)0x1ED); // 0755
        foreach (var name in (string[])["bin", "dev", "etc", "proc", "root", "sys", "tmp", "usr", "var", "run", "home"])
        {
            Directory.CreateDirectory(Path.Combine(root, name));
        }

        File.SetUnixFileMode(Path.Combine(root, "tmp"), (UnixFileMode)0x3FF); // 1777
        Repository.CopyProgram(Require.Program("busybox"), Path.Combine(root, "bin/busybox"));
        foreach (var applet in Applets) File.CreateSymbolicLink(Path.Combine(root, "bin", applet), "busybox");
        File.WriteAllText(Path.Combine(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home:/bin/sh\n");
        File.WriteAllText(Path.Combine(root, "etc/group"), "root:x:0:\nuser:x:1000:\n");
        return root;
    }
}
