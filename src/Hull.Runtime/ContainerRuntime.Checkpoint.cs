using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using Hull.Runtime.Checkpoints;
using Hull.Runtime.State;

namespace Hull.Runtime;

/// <content>Saving containers to files and continuing them from there, through criu(8).</content>
public sealed partial class ContainerRuntime
{
    private const string DumpLog = "dump.log";
    private const string RestoreLog = "restore.log";

    /// <summary>
    /// Saves the processes of a running container, which end by that and are to be deleted, unless it runs on.
    /// Throws Unsupported where criu is not installed or does not work with this kernel.
    /// </summary>
    public void Checkpoint(string id, CheckpointOptions options)
    {
        RequireParent(options);
        using (var directory = ContainerDirectory.Open(Options.Root, id, locked: true))
        {
            var state = directory.ReadState();
            if (state.Rootless) throw HullException.Unsupported("checkpoint: criu needs root");
            if (StatusOf(directory, state) is not (ContainerStatus.Running or ContainerStatus.Paused) and var status)
                throw HullException.Conflict($"cannot checkpoint container {id}: it is {status}");
            Dump(directory, state, options);
        }

        if (!options.LeaveRunning && !options.PreDump) Delete(id, force: true);
    }

    private static void Dump(ContainerDirectory directory, StoredState state, CheckpointOptions options)
    {
        var spec = directory.ReadSpec();
        var cgroup = CgroupManager.Load(state.Cgroup, state.Rootless);
        var keys = StandardStreamKeys.Of(state.Pid);
        using var images = OpenDirectory(options.ImagePath);
        using var work = OpenDirectory(options.WorkPath ?? options.ImagePath);
        if (!options.PreDump) StandardStreamKeys.Write(options.ImagePath, keys);

        var request = new CriuRequest(options.PreDump ? CriuRequestType.PreDump : CriuRequestType.Dump);
        request.Directories(images, work);
        request.Log(DumpLog);
        request.Process(state.Pid);
        request.Root(state.Rootfs);
        request.Common(options);
        request.Dump(options);
        if ((cgroup.Paths.GetValueOrDefault("freezer") ?? cgroup.Paths.GetValueOrDefault("")) is { } freezer) request.FreezeCgroup(freezer);
        foreach (var mount in new ExternalMounts(spec, state.Bundle, state.Rootfs).ForDump(state.Pid, cgroup)) request.External(mount);
        foreach (var key in keys.Where(StandardStreamKeys.IsHostFile)) request.External(key);
        ExternalNamespaces.AddToDump(request, spec, state.Pid);
        AddConfigurationFile(request, state.Annotations);
        using var criu = CriuService.Start(options.Program, (null, null, null), []);
        criu.Call(request, static (_, _) => { }, () => LastWords(options, DumpLog));
        criu.Complete();
    }

    /// <summary>Continues a saved container under an id that is free. On failure nothing stays.</summary>
    public ContainerProcess Restore(string id, RestoreOptions options)
    {
        if (IsRootless) throw HullException.Unsupported("restore: criu needs root");
        ContainerProcess? process = null;
        Exception? failure = null;
        // The thread enters a mount namespace of its own, so that what criu mounts on the way is seen and kept by nobody.
        var thread = new Thread(() =>
        {
            try
            {
                process = new Restoration(this, id, options).Run();
            }
            catch (Exception error)
            {
                failure = error;
            }
        });
        thread.Start();
        thread.Join();
        if (failure is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        return process!;
    }

    /// <summary>criu takes the path from the images' directory, and would only find it wrong in the middle of its work.</summary>
    private static void RequireParent(CheckpointOptions options)
    {
        if (options.ParentPath is not { } parent) return;
        if (Path.IsPathRooted(parent)) throw HullException.Invalid($"--parent-path {parent} must be relative to --image-path");
        if (!Directory.Exists(Path.Combine(options.ImagePath, parent))) throw HullException.Invalid($"--parent-path {parent}: there is no such directory in {options.ImagePath}");
    }

    private static SafeFd OpenDirectory(string path)
    {
        Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_RDONLY | Fcntl.O_DIRECTORY), $"open {path}");
    }

    /// <summary>Options that only this container's configuration knows; the annotation and the file are runc's.</summary>
    private static void AddConfigurationFile(CriuRequest request, IReadOnlyDictionary<string, string>? annotations)
    {
        const string Default = "/etc/criu/runc.conf";
        var file = annotations?.GetValueOrDefault("org.criu.config") ?? (File.Exists(Default) ? Default : null);
        if (file is not null) request.ConfigurationFile(file);
    }

    /// <summary>The first error of criu's log, which says more than its answer.</summary>
    private static string LastWords(CriuOptions options, string log)
    {
        const string Mark = "Error (";
        var path = Path.Combine(options.WorkPath ?? options.ImagePath, log);
        if (!File.Exists(path)) return "";
        // That it may not raise its own limit does not stop it.
        var errors = File.ReadLines(path).Where(line => line.Contains(Mark, StringComparison.Ordinal) && !line.Contains("RLIMIT_NOFILE", StringComparison.Ordinal))
            .Select(line => line[line.IndexOf(Mark, StringComparison.Ordinal)..].Trim()).ToList();
        return errors.Count == 0 ? "" : $"{errors[0]} (all of it is in {path})";
    }
}
