using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;
using Hull.Linux.Children;
using Hull.Linux.Resctrl;
using Hull.Linux.Seccomp;
using Hull.Oci.Runtime;
using Hull.Runtime.Specs;

namespace Hull.Runtime.Setup;

/// <summary>
/// What the parts of a container's setup share while its <see cref="ChildProgram"/> is written: the spec, descriptors the
/// parent opened for the child, and slots that hold the child's own.
/// </summary>
internal sealed class SetupContext : IDisposable
{
    private readonly List<IDisposable> _owned = [];

    public required string Id { get; init; }

    public required Spec Spec { get; init; }

    public required string Bundle { get; init; }

    public required string Rootfs { get; init; }

    public required ProcessOptions Options { get; init; }

    public required ICgroup Cgroup { get; init; }

    public required CgroupEntry CgroupEntry { get; init; }

    /// <summary>The group of resctrl the container is to be in, if any.</summary>
    public ResctrlGroup? Resctrl { get; init; }

    public SeccompProgram? Seccomp { get; init; }

    /// <summary>The child's end of the report channel.</summary>
    public required SafeFd Channel { get; init; }

    /// <summary>The listener on which a created container waits for its start; null starts at once.</summary>
    public SafeFd? StartListener { get; init; }

    /// <summary>Where the program comes that is only named at the start; null takes the spec's.</summary>
    public DeferredProgram? Deferred { get; private set; }

    public bool DefersProgram { get; init; }

    public bool NoPivot { get; init; }

    public bool Rootless { get; init; }

    /// <summary>Places whose content the child will ask the parent to copy, in that order.</summary>
    public Queue<string> Copies { get; } = new();

    public ChildProgram Program { get; } = new();

    public LinuxSpec Linux => Spec.Linux!;

    public ProcessSpec Process => Spec.Process!;

    /// <summary>The report channel as the child knows it.</summary>
    public Argument Socket { get; set; }

    /// <summary>The detached, later attached, mount of the root file system.</summary>
    public Argument Root { get; set; }

    /// <summary>The number of that mount (statx(2), stx_mnt_id), or 0 where the child makes it.</summary>
    public ulong RootMount { get; set; }

    /// <summary>A verified procfs of the container's pid namespace.</summary>
    public Slot Proc { get; private set; }

    /// <summary>Scratch slot: the place something is to be mounted at.</summary>
    public Slot Target { get; private set; }

    /// <summary>Scratch slot for intermediate directories and files.</summary>
    public Slot Scratch { get; private set; }

    public Slot FileSystem { get; private set; }

    public Slot Mount { get; private set; }

    /// <summary>Master of the terminal.</summary>
    public Slot Terminal { get; private set; }

    public Slot TerminalPeer { get; private set; }

    public bool HasUserNamespace => Linux.Find("user") is not null;

    public bool HasMountNamespace => Linux.Find("mount") is not null;

    /// <summary>/dev is to be read-only once everything is in it.</summary>
    public bool SealsDevices { get; set; }

    /// <summary>Allots the slots and makes the channel known to the child.</summary>
    public void Begin()
    {
        Proc = Program.NewSlot();
        Target = Program.NewSlot();
        Scratch = Program.NewSlot();
        FileSystem = Program.NewSlot();
        Mount = Program.NewSlot();
        Terminal = Program.NewSlot();
        TerminalPeer = Program.NewSlot();
        if (DefersProgram) Deferred = Program.DeferProgram();
        Socket = Program.Inherit(Channel);
        Program.Set(Program.Report, Socket);
    }

    /// <summary>Keeps something alive until the child was cloned.</summary>
    public T Own<T>(T resource) where T : IDisposable
    {
        _owned.Add(resource);
        return resource;
    }

    public Argument Inherit(SafeFd descriptor) => Program.Inherit(Own(descriptor));

    public void Dispose()
    {
        foreach (var resource in _owned) resource.Dispose();
        Program.Dispose();
    }
}
