using System.Text;
using Hull.Agent.Protocol;
using Hull.Hypervisor.Agent;
using Hull.Hypervisor.Disks;
using Hull.Hypervisor.Sandboxes;
using Hull.Runtime;

namespace Hull.Hypervisor.Templates;

/// <summary>
/// Has a template do once what each of its clones is to do: make a container, start it and take it away. What only the
/// first time costs, such as pages, caches and lookups that are made when they are needed, is then part of the template.
/// Nothing of a user's is in it: the container is empty, and its program cannot be executed.
/// </summary>
internal static class Rehearsal
{
    private const string Container = "rehearsal";

    public static async Task PlayAsync(AgentClient agent)
    {
        await agent.PrepareDisksAsync(SandboxShape.WritableDisk).ConfigureAwait(false);
        await agent.ReleaseAsync(ReleaseRequest.Nobody()).ConfigureAwait(false);
        await using var output = agent.OpenStream();
        await using var error = agent.OpenStream();
        await agent.CreateContainerAsync(new CreateContainerRequest(Container, SpecOf("/rehearsal"), new RootLayout(SandboxShape.LayersDisk, [], ""), [],
            [
                .. Files,
                // A script whose interpreter is not there: all is done but the last step of execve(2).
                new InjectedFile($"/run/containers/{Container}/rootfs/rehearsal", "#!/nothing\n"u8.ToArray(), 0x1ED, ReadOnly: false),
            ],
            new StreamIds(0, output.Id, error.Id), 0, 0)).ConfigureAwait(false);
        try
        {
            await agent.StartContainerAsync(Container).ConfigureAwait(false);
        }
        catch (HullException cause) when (cause.Kind == ErrorKind.CommandNotFound)
        {
            // As it must be.
        }

        await agent.WaitForExitAsync(new ProcessTarget(Container, "")).ConfigureAwait(false);
        await agent.DeleteContainerAsync(Container).ConfigureAwait(false);
    }

    /// <summary>
    /// Has a live template do once more what its twins are to do, and now with layers, a writable disk and a program that
    /// runs: what counts here is that the emulator has translated it all.
    /// </summary>
    public static async Task PlayLiveAsync(AgentClient agent, LayerDisk layers)
    {
        // A C library that cannot be run as a program has been loaded as one all the same.
        await PlayLiveAsync(agent, layers, "/lib/libc.so.6", deferred: false).ConfigureAwait(false);
        await agent.PrepareDisksAsync(SandboxShape.WritableDisk).ConfigureAwait(false);
        var code = await PlayLiveAsync(agent, layers, "/rehearsal", deferred: true).ConfigureAwait(false);
        if (code != 0) throw HullException.Internal($"the rehearsal of a template ended with {code}");
    }

    /// <param name="deferred">As a container of an image template: it is made another's, and told its program at the start.</param>
    private static async Task<uint> PlayLiveAsync(AgentClient agent, LayerDisk layers, string program, bool deferred)
    {
        await agent.ReleaseAsync(ReleaseRequest.Nobody(new NetworkSetup([new InterfaceSetup(0, "eth0", "02:00:00:00:00:02", ["192.0.2.2/24"], 1500)],
            [new RouteSetup("eth0", "0.0.0.0/0", "192.0.2.1")]))).ConfigureAwait(false);
        await using var output = agent.OpenStream();
        await using var error = agent.OpenStream();
        await agent.CreateContainerAsync(new CreateContainerRequest(Container, SpecOf(program),
            new RootLayout(SandboxShape.LayersDisk, layers.Extents, SandboxShape.WritableDisk, IsPrepared: true), [],
            Files,
            new StreamIds(0, output.Id, error.Id), 0, 0, deferred)).ConfigureAwait(false);
        if (deferred) await agent.AdoptAsync(new AdoptRequest(Container, "rehearsed", Files, new StreamIds(0, output.Id, error.Id))).ConfigureAwait(false);
        await agent.StartContainerAsync(Container, deferred ? new ContainerProgram([program], ["PATH=/bin:/sbin", "HOME=/"]) : null).ConfigureAwait(false);
        var exit = await agent.WaitForExitAsync(new ProcessTarget(Container, "")).ConfigureAwait(false);
        await agent.DeleteContainerAsync(Container).ConfigureAwait(false);
        await agent.ReleaseAsync(ReleaseRequest.Nobody()).ConfigureAwait(false);
        return exit.ExitCode;
    }

    /// <summary>What is mounted over files of the container's /etc.</summary>
    private static List<InjectedFile> Files =>
        [.. Enumerable.Range(0, 3).Select(file => new InjectedFile($"/run/containers/{Container}/files/{file}", "rehearsed"u8.ToArray(), 0x1A4, ReadOnly: false))];

    /// <summary>The members an engine's spec has, so that all their code has run.</summary>
    private static byte[] SpecOf(string program) => Encoding.UTF8.GetBytes($$"""
        {
          "ociVersion": "1.2.0",
          "process": {
            "user": { "uid": 0, "gid": 0, "additionalGids": [0] }, "args": ["{{program}}"], "env": ["PATH=/bin", "HOME=/"], "cwd": "/",
            "capabilities": { "bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"] },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1024 }], "noNewPrivileges": true, "oomScoreAdj": 0
          },
          "root": { "path": "rootfs", "readonly": false },
          "hostname": "template",
          "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
            { "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"] },
            { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "relatime", "ro"] },
            { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"] },
            { "destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"] },
            { "destination": "/etc/resolv.conf", "type": "bind", "source": "/run/containers/rehearsal/files/0", "options": ["rbind", "rprivate", "rw"] },
            { "destination": "/etc/hostname", "type": "bind", "source": "/run/containers/rehearsal/files/1", "options": ["rbind", "rprivate", "rw"] },
            { "destination": "/etc/hosts", "type": "bind", "source": "/run/containers/rehearsal/files/2", "options": ["rbind", "rprivate", "rw"] }
          ],
          "linux": {
            "cgroupsPath": "/hull/rehearsal", "rootfsPropagation": "rprivate", "resources": { "pids": { "limit": 100 } },
            "namespaces": [{ "type": "mount" }, { "type": "pid" }, { "type": "ipc" }, { "type": "uts" }, { "type": "cgroup" }],
            "maskedPaths": ["/proc/asound", "/proc/kcore", "/proc/acpi", "/sys/firmware"], "readonlyPaths": ["/proc/bus", "/proc/sys"]
          }
        }
        """);
}
