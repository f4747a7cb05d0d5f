using System.Text;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Children;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;

namespace Hull.Runtime.Setup;

/// <summary>Mappings of user namespaces (user_namespaces(7)).</summary>
public static class UserNamespaces
{
    /// <summary>A user namespace with mappings and no process in it.</summary>
    public static SafeFd Create(IReadOnlyList<IdMapping> users, IReadOnlyList<IdMapping> groups)
    {
        var (read, write) = FileCalls.Pipe();
        using (write)
        using (read)
        using (var program = new ChildProgram())
        {
            var buffer = program.Buffer(8);
            program.Call("wait", null, SyscallNumber.SYS_read, program.Inherit(read), buffer, 1);
            var (pid, pidfd) = ChildLauncher.Start(program, new CloneOptions { Namespaces = CloneFlags.CLONE_NEWUSER });
            using (pidfd)
            {
                try
                {
                    WriteMappings(pid, users, groups);
                    return Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, $"/proc/{pid}/ns/user", Fcntl.O_RDONLY), $"open a user namespace");
                }
                finally
                {
                    _ = ProcessCalls.PidfdSendSignal(pidfd.Value, 9);
                    _ = ProcessCalls.Wait(pid, 0, out _);
                }
            }
        }
    }

    /// <summary>
    /// Maps the ids of a new user namespace: directly where this process may, else through newuidmap(1) and newgidmap(1), which
    /// check /etc/subuid and /etc/subgid.
    /// </summary>
    internal static void WriteMappings(int pid, IReadOnlyList<IdMapping> users, IReadOnlyList<IdMapping> groups)
    {
        var privileged = ProcessCalls.GetEffectiveUser() == 0;
        if (privileged || IsOwnOnly(users, ProcessCalls.GetEffectiveUser())) Write(pid, "uid_map", Format(users));
        else RunHelper("newuidmap", pid, users);

        if (privileged)
        {
            Write(pid, "gid_map", Format(groups));
        }
        else if (IsOwnOnly(groups, ProcessCalls.GetEffectiveGroup()))
        {
            // Who maps only their own group must give up setgroups(2), with which a group's denial could be shed.
            Write(pid, "setgroups", "deny");
            Write(pid, "gid_map", Format(groups));
        }
        else
        {
            RunHelper("newgidmap", pid, groups);
        }
    }

    /// <summary>What an id inside is outside; null where it is not mapped or no mappings are known.</summary>
    public static uint? ToHost(IReadOnlyList<IdMapping>? mappings, uint id)
    {
        foreach (var mapping in mappings ?? [])
        {
            if (id >= mapping.ContainerId && id - mapping.ContainerId < mapping.Size) return mapping.HostId + (id - mapping.ContainerId);
        }

        return null;
    }

    /// <summary>The other way round.</summary>
    public static uint? ToContainer(IReadOnlyList<IdMapping>? mappings, uint id)
    {
        foreach (var mapping in mappings ?? [])
        {
            if (id >= mapping.HostId && id - mapping.HostId < mapping.Size) return mapping.ContainerId + (id - mapping.HostId);
        }

        return null;
    }

    private static bool IsOwnOnly(IReadOnlyList<IdMapping> mappings, uint own) =>
        mappings is [{ Size: 1 } only] && only.HostId == own;

    private static string Format(IReadOnlyList<IdMapping> mappings)
    {
        var text = new StringBuilder();
        foreach (var mapping in mappings) text.Append(mapping.ContainerId).Append(' ').Append(mapping.HostId).Append(' ').Append(mapping.Size).Append('\n');
        return text.ToString();
    }

    private static void Write(int pid, string file, string content)
    {
        var path = $"/proc/{pid}/{file}";
        using var descriptor = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_WRONLY), $"open {path}");
        Check.Result(FileCalls.Write(descriptor.Value, Encoding.ASCII.GetBytes(content)), $"write the mapping '{content.TrimEnd().Replace('\n', ',')}' to {path}");
    }

    private static void RunHelper(string program, int pid, IReadOnlyList<IdMapping> mappings)
    {
        var arguments = new List<string> { pid.ToString() };
        foreach (var mapping in mappings) arguments.AddRange([mapping.ContainerId.ToString(), mapping.HostId.ToString(), mapping.Size.ToString()]);
        try
        {
            ChildProcess.Run(new ChildProcessOptions(program, arguments)).RequireSuccess();
        }
        catch (HullException error) when (error.Kind == ErrorKind.CommandNotFound)
        {
            throw HullException.Unsupported($"mapping more than one id as an ordinary user needs the program {program} (package uidmap)");
        }
    }
}
