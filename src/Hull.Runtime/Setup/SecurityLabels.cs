using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;

namespace Hull.Runtime.Setup;

/// <summary>AppArmor profiles and SELinux labels, written to a verified procfs right before execve (CVE-2019-16884).</summary>
internal static class SecurityLabels
{
    internal static bool SelinuxEnabled => HasDirectory("/sys/fs/selinux/class");

    internal static bool ApparmorEnabled => HasDirectory("/sys/kernel/security/apparmor") || HasDirectory("/sys/module/apparmor/parameters");

    /// <summary>A label that the kernel cannot enforce is an error: silence would be a false promise.</summary>
    internal static void Add(Hull.Linux.Children.ChildProgram program, Hull.Linux.Children.Slot proc, ProcessSpec process)
    {
        if (!string.IsNullOrEmpty(process.ApparmorProfile) && process.ApparmorProfile != "unconfined")
        {
            if (!ApparmorEnabled) throw HullException.Unsupported("process.apparmorProfile: the kernel has no AppArmor");
            program.WriteProc(proc, "thread-self/attr/exec", "exec " + process.ApparmorProfile, "set AppArmor profile", process.ApparmorProfile);
        }

        if (!string.IsNullOrEmpty(process.SelinuxLabel))
        {
            if (!SelinuxEnabled) throw HullException.Unsupported("process.selinuxLabel: the kernel has no SELinux");
            program.WriteProc(proc, "thread-self/attr/exec", process.SelinuxLabel, "set SELinux label", process.SelinuxLabel);
        }
    }

    private static bool HasDirectory(string path)
    {
        var result = FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_PATH | Fcntl.O_DIRECTORY);
        if (result < 0) return false;
        _ = FileCalls.Close((int)result);
        return true;
    }
}
