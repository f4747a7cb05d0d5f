using Hull.Linux.Syscalls;

namespace Hull.Agent.Protocol;

/// <summary>Answer to <see cref="AgentOperation.Hello"/>.</summary>
/// <param name="ProtocolVersion">Must equal <see cref="Current"/>: host and guest are built together.</param>
/// <param name="KernelRelease">As uname(2) has it.</param>
public sealed record HelloReply(uint ProtocolVersion, string KernelRelease)
{
    public const uint Current = 4;

    public WireWriter Write(WireWriter writer) => writer.U32(ProtocolVersion).Text(KernelRelease);

    public static HelloReply Read(WireReader reader) => new(reader.U32(), reader.Text());
}

/// <summary>
/// The release gate. Clones of one template share everything, random numbers to come included; this makes one
/// machine of its own of each.
/// </summary>
/// <param name="Entropy">At least 32 fresh random bytes of the host.</param>
/// <param name="UnixNanoseconds">The time now.</param>
/// <param name="MachineId">32 hexadecimal digits, machine-id(5).</param>
/// <param name="KeepStreams">False for a clone, whose streams belonged to the machine it was cloned from.</param>
public sealed record ReleaseRequest(byte[] Entropy, long UnixNanoseconds, string HostName, string MachineId,
    NetworkSetup Network, bool KeepStreams = false)
{
    /// <summary>With the time and random bytes of now.</summary>
    public static ReleaseRequest Now(string hostName, string machineId, NetworkSetup network) => new(MemoryCalls.RandomBytes(64),
        TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds() * 1_000_000, hostName, machineId, network);

    /// <summary>As a template: nobody yet, on no network.</summary>
    public static ReleaseRequest Nobody(NetworkSetup? network = null) => Now("template", new string('0', 32), network ?? NetworkSetup.None);

    public WireWriter Write(WireWriter writer)
    {
        writer.Bytes(Entropy).I64(UnixNanoseconds).Text(HostName).Text(MachineId).Flag(KeepStreams);
        return Network.Write(writer);
    }

    public static ReleaseRequest Read(WireReader reader)
    {
        var (entropy, time, host, machine, keep) = (reader.Bytes(), reader.I64(), reader.Text(), reader.Text(), reader.Flag());
        return new ReleaseRequest(entropy, time, host, machine, NetworkSetup.Read(reader), keep);
    }
}

/// <summary>The whole network of the guest.</summary>
public sealed record NetworkSetup(IReadOnlyList<InterfaceSetup> Interfaces, IReadOnlyList<RouteSetup> Routes)
{
    public static NetworkSetup None { get; } = new([], []);

    public WireWriter Write(WireWriter writer) => writer
        .List(Interfaces, static (w, i) => i.Write(w))
        .List(Routes, static (w, r) => r.Write(w));

    public static NetworkSetup Read(WireReader reader) =>
        new(reader.List(InterfaceSetup.Read), reader.List(RouteSetup.Read));
}

/// <param name="Device">Position among the NICs of the machine, from 0, in the order they were attached.</param>
/// <param name="Name">Name to give it, such as <c>eth0</c>.</param>
/// <param name="Addresses">In CIDR form.</param>
/// <param name="Mtu">Bytes; 0 leaves the device's own.</param>
public sealed record InterfaceSetup(uint Device, string Name, string MacAddress, IReadOnlyList<string> Addresses, uint Mtu)
{
    public WireWriter Write(WireWriter writer) => writer.U32(Device).Text(Name).Text(MacAddress).Texts(Addresses).U32(Mtu);

    public static InterfaceSetup Read(WireReader reader) =>
        new(reader.U32(), reader.Text(), reader.Text(), reader.Texts(), reader.U32());
}

/// <param name="Destination">In CIDR form, <c>0.0.0.0/0</c> or <c>::/0</c> for the default route.</param>
/// <param name="Gateway">Empty where the destination is on the link.</param>
public sealed record RouteSetup(string Interface, string Destination, string Gateway)
{
    public WireWriter Write(WireWriter writer) => writer.Text(Interface).Text(Destination).Text(Gateway);

    public static RouteSetup Read(WireReader reader) => new(reader.Text(), reader.Text(), reader.Text());
}

/// <summary>A part of a disk that holds one file system image.</summary>
/// <param name="Offset">Bytes from the start of the disk; a multiple of 512.</param>
public sealed record DiskExtent(long Offset, long Length)
{
    public WireWriter Write(WireWriter writer) => writer.I64(Offset).I64(Length);

    public static DiskExtent Read(WireReader reader) => new(reader.I64(), reader.I64());
}

/// <summary>How the root of a container is put together.</summary>
/// <param name="LayersDisk">Serial number of the disk that holds the layers.</param>
/// <param name="Layers">One erofs image per layer, lowest first.</param>
/// <param name="WritableDisk">Serial number of the ext4 disk for what is written; empty means memory.</param>
/// <param name="IsPrepared">The writable disk is an unchanged copy of the one the template had mounted.</param>
public sealed record RootLayout(string LayersDisk, IReadOnlyList<DiskExtent> Layers, string WritableDisk, bool IsPrepared = false)
{
    public WireWriter Write(WireWriter writer) =>
        writer.Text(LayersDisk).List(Layers, static (w, l) => l.Write(w)).Text(WritableDisk).Flag(IsPrepared);

    public static RootLayout Read(WireReader reader) =>
        new(reader.Text(), reader.List(DiskExtent.Read), reader.Text(), reader.Flag());
}

/// <summary>A disk to mount in a container.</summary>
/// <param name="Disk">Serial number.</param>
public sealed record VolumeMount(string Disk, string FileSystem, string Target, bool ReadOnly)
{
    public WireWriter Write(WireWriter writer) => writer.Text(Disk).Text(FileSystem).Text(Target).Flag(ReadOnly);

    public static VolumeMount Read(WireReader reader) => new(reader.Text(), reader.Text(), reader.Text(), reader.Flag());
}

/// <summary>A file that appears in a container under a path, beside its layers: hosts, resolv.conf, secrets.</summary>
public sealed record InjectedFile(string Target, byte[] Content, uint Mode, bool ReadOnly)
{
    public WireWriter Write(WireWriter writer) => writer.Text(Target).Bytes(Content).U32(Mode).Flag(ReadOnly);

    public static InjectedFile Read(WireReader reader) => new(reader.Text(), reader.Bytes(), reader.U32(), reader.Flag());
}

/// <summary>Streams of a process; 0 means it has none. With a terminal, <see cref="Output"/> is all there is.</summary>
public sealed record StreamIds(uint Input, uint Output, uint Error)
{
    public WireWriter Write(WireWriter writer) => writer.U32(Input).U32(Output).U32(Error);

    public static StreamIds Read(WireReader reader) => new(reader.U32(), reader.U32(), reader.U32());
}

/// <summary>Builds a container up to the step before its program runs.</summary>
/// <param name="Spec">The OCI runtime spec, JSON; its root path and bind sources are the agent's affair.</param>
/// <param name="DefersProgram">Its program is named by <see cref="StartRequest"/>.</param>
/// <param name="Expected">Paths of the program that is most likely to be named; the files of the first that is there are read ahead.</param>
public sealed record CreateContainerRequest(string Id, byte[] Spec, RootLayout Root, IReadOnlyList<VolumeMount> Volumes,
    IReadOnlyList<InjectedFile> Files, StreamIds Streams, uint Columns, uint Rows, bool DefersProgram = false,
    IReadOnlyList<string>? Expected = null)
{
    public WireWriter Write(WireWriter writer)
    {
        writer.Text(Id).Bytes(Spec);
        Root.Write(writer);
        writer.List(Volumes, static (w, v) => v.Write(w)).List(Files, static (w, f) => f.Write(w));
        Streams.Write(writer);
        return writer.U32(Columns).U32(Rows).Flag(DefersProgram).Texts(Expected ?? []);
    }

    public static CreateContainerRequest Read(WireReader reader) => new(reader.Text(), reader.Bytes(), RootLayout.Read(reader),
        reader.List(VolumeMount.Read), reader.List(InjectedFile.Read), StreamIds.Read(reader), reader.U32(), reader.U32(), reader.Flag(), reader.Texts());
}

/// <summary>Lets the program of a container run.</summary>
/// <param name="Arguments">Empty where the container's spec has them, and the environment.</param>
public sealed record StartRequest(string Id, IReadOnlyList<string> Arguments, IReadOnlyList<string> Environment)
{
    public WireWriter Write(WireWriter writer) => writer.Text(Id).Texts(Arguments).Texts(Environment);

    public static StartRequest Read(WireReader reader) => new(reader.Text(), reader.Texts(), reader.Texts());
}

/// <summary>Starts a further process.</summary>
/// <param name="Process">The OCI runtime spec's <c>process</c> object, JSON.</param>
/// <param name="User">User as written, to be looked up in the root; empty where <paramref name="Process"/> has it.</param>
public sealed record ExecRequest(string Id, string ExecId, byte[] Process, string User, StreamIds Streams,
    uint Columns, uint Rows)
{
    public WireWriter Write(WireWriter writer)
    {
        writer.Text(Id).Text(ExecId).Bytes(Process).Text(User);
        Streams.Write(writer);
        return writer.U32(Columns).U32(Rows);
    }

    public static ExecRequest Read(WireReader reader) => new(reader.Text(), reader.Text(), reader.Bytes(), reader.Text(),
        StreamIds.Read(reader), reader.U32(), reader.U32());
}

/// <summary>Copies files of a container.</summary>
/// <param name="Verb">What is to be done; see <see cref="ArchiveVerbs"/>.</param>
public sealed record ArchiveRequest(ProcessTarget Target, string Verb, string Path, StreamIds Streams)
{
    public WireWriter Write(WireWriter writer)
    {
        Target.Write(writer);
        writer.Text(Verb).Text(Path);
        return Streams.Write(writer);
    }

    public static ArchiveRequest Read(WireReader reader) =>
        new(ProcessTarget.Read(reader), reader.Text(), reader.Text(), StreamIds.Read(reader));
}

/// <summary>
/// What the archive process does. Its end is 0, or 1 with an error of a u32 kind and a text on its error stream.
/// </summary>
public static class ArchiveVerbs
{
    /// <summary>Answers name, size, mode, time and link target on the output.</summary>
    public const string Stat = "stat";

    /// <summary>A tar archive of what is at the path.</summary>
    public const string Read = "read";

    /// <summary>A tar archive of the whole root.</summary>
    public const string ReadTree = "read-tree";

    /// <summary>Unpacks the input below the path; each suffix is a flag.</summary>
    public const string Write = "write";

    public const string NoOverwriteSuffix = "+no-overwrite";

    public const string OwnersSuffix = "+owners";
}

/// <summary>Takes over a container of the machine from which this one was made.</summary>
/// <param name="Id">As the first machine was given it.</param>
/// <param name="Files">New contents of the files it was given.</param>
/// <param name="Streams">Streams for its standard streams; execs and their streams end.</param>
public sealed record AdoptRequest(string Id, string HostName, IReadOnlyList<InjectedFile> Files, StreamIds Streams)
{
    public WireWriter Write(WireWriter writer)
    {
        writer.Text(Id).Text(HostName).List(Files, static (w, f) => f.Write(w));
        return Streams.Write(writer);
    }

    public static AdoptRequest Read(WireReader reader) =>
        new(reader.Text(), reader.Text(), reader.List(InjectedFile.Read), StreamIds.Read(reader));
}

/// <summary>New limits of a container; -1 leaves one as it is.</summary>
/// <param name="MemoryBytes">0 for no limit.</param>
/// <param name="Processes">0 for no limit.</param>
public sealed record UpdateContainerRequest(string Id, long MemoryBytes, long Processes)
{
    public WireWriter Write(WireWriter writer) => writer.Text(Id).I64(MemoryBytes).I64(Processes);

    public static UpdateContainerRequest Read(WireReader reader) => new(reader.Text(), reader.I64(), reader.I64());
}

/// <summary>A process as the guest's kernel has it.</summary>
/// <param name="StartedAt">Seconds since 1970.</param>
/// <param name="Terminal">As ps(1) writes it; <c>?</c> for none.</param>
public sealed record GuestProcess(uint Pid, uint Parent, uint User, long CpuSeconds, long StartedAt, string Terminal, string Command)
{
    public WireWriter Write(WireWriter writer) =>
        writer.U32(Pid).U32(Parent).U32(User).I64(CpuSeconds).I64(StartedAt).Text(Terminal).Text(Command);

    public static GuestProcess Read(WireReader reader) =>
        new(reader.U32(), reader.U32(), reader.U32(), reader.I64(), reader.I64(), reader.Text(), reader.Text());
}

/// <summary>A container, or an exec of it where <paramref name="ExecId"/> is not empty.</summary>
public sealed record ProcessTarget(string Id, string ExecId)
{
    public WireWriter Write(WireWriter writer) => writer.Text(Id).Text(ExecId);

    public static ProcessTarget Read(WireReader reader) => new(reader.Text(), reader.Text());
}

public sealed record SignalRequest(ProcessTarget Target, uint Signal, bool EveryProcess)
{
    public WireWriter Write(WireWriter writer)
    {
        Target.Write(writer);
        return writer.U32(Signal).Flag(EveryProcess);
    }

    public static SignalRequest Read(WireReader reader) => new(ProcessTarget.Read(reader), reader.U32(), reader.Flag());
}

public sealed record ResizeRequest(ProcessTarget Target, uint Columns, uint Rows)
{
    public WireWriter Write(WireWriter writer)
    {
        Target.Write(writer);
        return writer.U32(Columns).U32(Rows);
    }

    public static ResizeRequest Read(WireReader reader) => new(ProcessTarget.Read(reader), reader.U32(), reader.U32());
}

/// <summary>The event that a process has ended.</summary>
/// <param name="ExitCode">Exit code, or 128 plus the signal.</param>
public sealed record ProcessExit(ProcessTarget Target, uint ExitCode, long UnixNanoseconds, bool OutOfMemory)
{
    public WireWriter Write(WireWriter writer)
    {
        Target.Write(writer);
        return writer.U32(ExitCode).I64(UnixNanoseconds).Flag(OutOfMemory);
    }

    public static ProcessExit Read(WireReader reader) =>
        new(ProcessTarget.Read(reader), reader.U32(), reader.I64(), reader.Flag());
}

/// <summary>Usage as the guest's kernel counts it, in bytes and nanoseconds.</summary>
public sealed record StatisticsReply(long CpuNanoseconds, long CpuUserNanoseconds, long CpuSystemNanoseconds,
    long MemoryBytes, long MemoryLimitBytes, long Processes, long GuestFreeBytes,
    IReadOnlyList<KeyValuePair<string, long>> MemoryDetails, IReadOnlyList<InterfaceCounters> Interfaces)
{
    public WireWriter Write(WireWriter writer) => writer.I64(CpuNanoseconds).I64(CpuUserNanoseconds).I64(CpuSystemNanoseconds)
        .I64(MemoryBytes).I64(MemoryLimitBytes).I64(Processes).I64(GuestFreeBytes)
        .List(MemoryDetails, static (w, d) => w.Text(d.Key).I64(d.Value))
        .List(Interfaces, static (w, i) => i.Write(w));

    public static StatisticsReply Read(WireReader reader) => new(reader.I64(), reader.I64(), reader.I64(), reader.I64(),
        reader.I64(), reader.I64(), reader.I64(), reader.List(static r => KeyValuePair.Create(r.Text(), r.I64())),
        reader.List(InterfaceCounters.Read));
}

public sealed record InterfaceCounters(string Name, long ReceivedBytes, long ReceivedPackets, long SentBytes, long SentPackets)
{
    public WireWriter Write(WireWriter writer) =>
        writer.Text(Name).I64(ReceivedBytes).I64(ReceivedPackets).I64(SentBytes).I64(SentPackets);

    public static InterfaceCounters Read(WireReader reader) =>
        new(reader.Text(), reader.I64(), reader.I64(), reader.I64(), reader.I64());
}
