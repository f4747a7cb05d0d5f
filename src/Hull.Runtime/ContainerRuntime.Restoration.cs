using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using Hull.Runtime.Checkpoints;
using Hull.Runtime.Hooks;
using Hull.Runtime.Resources;
using Hull.Runtime.Setup;
using Hull.Runtime.Specs;
using Hull.Runtime.State;

namespace Hull.Runtime;

/// <content>One container that is continued.</content>
public sealed partial class ContainerRuntime
{
    private sealed class Restoration(ContainerRuntime runtime, string id, RestoreOptions options)
    {
        private SafeFd? _terminal;
        private int _pid;

        /// <summary>Must run on a thread of its own: it enters a mount namespace and stays there.</summary>
        internal ContainerProcess Run()
        {
            if (!Directory.Exists(options.ImagePath)) throw HullException.NotFound($"--image-path {options.ImagePath} does not exist");
            var keys = StandardStreamKeys.Read(options.ImagePath);
            var bundle = Path.GetFullPath(options.Create.Bundle);
            var (spec, content) = SpecReader.ReadBundle(bundle);
            SpecValidator.Validate(spec);
            var cgroup = CgroupManager.Name(id, spec.Linux!.CgroupsPath, runtime.Options.CgroupDriver, rootless: false);
            var resctrl = runtime.NameResctrl(id, spec.Linux.IntelRdt);
            var state = runtime.NewState(id, spec, bundle, cgroup) with { Resctrl = resctrl?.Record };
            using var directory = ContainerDirectory.Create(runtime.Options.Root, id);
            var entered = false;
            try
            {
                directory.WriteConfig(content);
                directory.WriteState(state);
                cgroup.Prepare(ResourceTranslation.ForCreate(spec.Linux.Resources)).Dispose();
                entered = true;
                PrepareResctrl(resctrl, spec.Linux.IntelRdt);
                Continue(state, spec, cgroup, keys);
                Record(directory, state, _pid);
                WritePidFile(options.Create, _pid);
                return new ContainerProcess(_pid, Check.Descriptor(ProcessCalls.PidfdOpen(_pid), $"open pidfd of {_pid}"), _terminal);
            }
            catch
            {
                _terminal?.Dispose();
                runtime.Undo(directory, state, entered ? cgroup : null);
                throw;
            }
        }

        private void Continue(StoredState state, Spec spec, ICgroup cgroup, string[] keys)
        {
            Check.Result(ProcessCalls.Unshare(CloneFlags.CLONE_NEWNS), $"make a mount namespace to continue the container in");
            var mounts = new ExternalMounts(spec, state.Bundle, state.Rootfs);
            mounts.Prepare();
            using var images = OpenDirectory(options.ImagePath);
            using var work = OpenDirectory(options.WorkPath ?? options.ImagePath);
            List<SafeFd> extra = [];
            var request = new CriuRequest(CriuRequestType.Restore);
            try
            {
                request.Directories(images, work);
                request.Log(RestoreLog);
                request.Root(state.Rootfs);
                request.Common(options);
                request.Restore(options);
                foreach (var mount in mounts.ForRestore(cgroup)) request.External(mount);
                ExternalNamespaces.AddToRestore(request, spec, extra, CriuService.FirstExtra);
                AddStreams(request, keys);
                AddConfigurationFile(request, state.Annotations);
                using var criu = CriuService.Start(options.Program, (SafeFd.Borrow(0), SafeFd.Borrow(1), SafeFd.Borrow(2)), extra);
                // The processes are made by criu, where criu is.
                cgroup.Add(criu.Pid);
                LoadResctrl(state)?.Add(criu.Pid);
                AddCgroupRoots(request, cgroup, criu.Pid);
                var response = criu.Call(request, (step, descriptors) => AtStep(step, descriptors, state, spec), () => LastWords(options, RestoreLog));
                _pid = response.Pid;
                criu.Complete();
            }
            finally
            {
                foreach (var descriptor in extra) descriptor.Dispose();
            }
        }

        /// <summary>Streams that were pipes or files of the host are continued with the caller's.</summary>
        private static void AddStreams(CriuRequest request, string[] keys)
        {
            for (var number = 0; number < keys.Length; number++)
            {
                if (!StandardStreamKeys.IsReplaced(keys[number])) continue;
                request.Inherit(keys[number], number);
                if (StandardStreamKeys.IsHostFile(keys[number])) request.External(keys[number]);
            }
        }

        /// <summary>Version 1: the saved cgroups may have had other names.</summary>
        private static void AddCgroupRoots(CriuRequest request, ICgroup cgroup, int pid)
        {
            if (cgroup.Version == CgroupVersion.V2) return;
            foreach (var line in File.ReadLines($"/proc/{pid}/cgroup"))
            {
                var fields = line.Split(':', 3);
                if (fields.Length == 3 && fields[1].Length > 0) request.CgroupRoot(fields[1], fields[2]);
            }
        }

        private void AtStep(CriuResponse step, List<SafeFd> descriptors, StoredState state, Spec spec)
        {
            switch (step.Script)
            {
                case "setup-namespaces":
                    Hull.Oci.Runtime.State ForHooks() => ToSpecState(state, ContainerStatus.Creating, step.Pid);
                    HookRunner.Run("prestart", spec.Hooks?.Prestart, ForHooks);
                    HookRunner.Run("createRuntime", spec.Hooks?.CreateRuntime, ForHooks);
                    break;
                case "orphan-pts-master" when descriptors.Count > 0:
                    _terminal = TerminalSetup.Deliver(descriptors[0], options.Create);
                    descriptors.RemoveAt(0);
                    break;
            }
        }
    }
}
