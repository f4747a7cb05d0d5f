using System.Text;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using Hull.Runtime.Specs;
using static Hull.Linux.Abi.Fcntl;

namespace Hull.Runtime.State;

/// <summary>The state directory of one container, opened and, where it is to be changed, locked.</summary>
internal sealed class ContainerDirectory : IDisposable
{
    private const string StateFile = "state.json";
    private const string ConfigFile = "config.json";
    private const string StartSocket = "start";
    private const uint PrivateDirectory = 0x1C0; // 0700
    private readonly SafeFd _descriptor;
    private readonly string _root;

    private ContainerDirectory(string root, string id, SafeFd descriptor)
    {
        _root = root;
        Id = id;
        _descriptor = descriptor;
    }

    public string Id { get; }

    /// <summary>Makes the directory, which reserves the id, and takes its lock.</summary>
    internal static ContainerDirectory Create(string root, string id)
    {
        RequireId(id);
        using var parent = OpenOrMakeRoot(root);
        var result = FileCalls.MkdirAt(parent.Value, id, PrivateDirectory);
        if (result == -(nint)Errno.EEXIST) throw HullException.Exists($"container {id} exists already");
        Check.Result(result, $"create the state directory {root}/{id}");
        return Open(root, id, parent, locked: true);
    }

    /// <summary>Opens an existing one; throws NotFound.</summary>
    internal static ContainerDirectory Open(string root, string id, bool locked)
    {
        RequireId(id);
        var parent = FileCalls.OpenAt(AT_FDCWD, root, O_PATH | O_DIRECTORY);
        if (parent == -(nint)Errno.ENOENT) throw NotFound(id);
        using var owner = Check.Descriptor(parent, $"open {root}");
        return Open(root, id, owner, locked);
    }

    /// <summary>The ids that have a directory.</summary>
    internal static List<string> ListIds(string root)
    {
        var result = FileCalls.OpenAt(AT_FDCWD, root, O_RDONLY | O_DIRECTORY);
        if (result == -(nint)Errno.ENOENT) return [];
        using var directory = Check.Descriptor(result, $"open {root}");
        return [.. DirectoryReader.ReadAll(directory, root).Where(entry => entry.Kind == FileKind.Directory && IsId(entry.Name)).Select(entry => entry.Name)];
    }

    internal void WriteState(StoredState state) =>
        AtomicFile.Write(_descriptor, StateFile, StateDocument.Write(state), durable: false);

    /// <summary>The state, or null where the runtime that made the directory was killed before it wrote one.</summary>
    internal StoredState? TryReadState()
    {
        var result = FileCalls.OpenAt(_descriptor.Value, StateFile, O_RDONLY);
        if (result == -(nint)Errno.ENOENT) return null;
        using var file = Check.Descriptor(result, $"open the state of {Id}");
        try
        {
            return StateDocument.Read(file.ReadToEnd(), $"the state of container {Id}");
        }
        catch (HullException error) when (error.Kind == ErrorKind.InvalidArgument)
        {
            throw HullException.Corrupted($"the state of container {Id} is damaged; delete --force removes it", error);
        }
    }

    internal StoredState ReadState() => TryReadState() ?? throw NotFound(Id);

    internal void WriteConfig(ReadOnlySpan<byte> content) => AtomicFile.Write(_descriptor, ConfigFile, content, durable: false);

    internal Spec ReadSpec()
    {
        using var file = Check.Descriptor(FileCalls.OpenAt(_descriptor.Value, ConfigFile, O_RDONLY), $"open the configuration of {Id}");
        return RuntimeDocuments.ParseSpec(file.ReadToEnd(SpecReader.MaxSize), $"the configuration of {Id}");
    }

    /// <summary>The socket a created container's init waits on.</summary>
    internal SafeFd ListenForStart(int minimumDescriptor)
    {
        var socket = SocketCalls.Create(Sockets.AF_UNIX, Sockets.SOCK_SEQPACKET);
        if (socket.Value < minimumDescriptor)
        {
            var low = socket;
            socket = low.DuplicateAbove(minimumDescriptor);
            low.Dispose();
        }

        try
        {
            Check.Result(SocketCalls.Bind(socket.Value, StartAddress()), $"bind the start socket of {Id}");
            Check.Result(SocketCalls.Listen(socket.Value, 4), $"listen on the start socket of {Id}");
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Whether init still waits for its start: a datagram socket cannot connect to a live listener (EPROTOTYPE), and finds
    /// nobody (ECONNREFUSED) once execve has closed it. Asking has no effect on init.
    /// </summary>
    internal bool IsWaitingForStart()
    {
        using var probe = SocketCalls.Create(Sockets.AF_UNIX, Sockets.SOCK_DGRAM);
        return SocketCalls.Connect(probe.Value, StartAddress()) == -(nint)Errno.EPROTOTYPE;
    }

    /// <summary>A connection to the waiting init: it goes on, and the connection ends when it has executed its program.</summary>
    internal SafeFd ConnectForStart()
    {
        var socket = SocketCalls.Create(Sockets.AF_UNIX, Sockets.SOCK_SEQPACKET);
        var result = SocketCalls.Connect(socket.Value, StartAddress());
        if (result >= 0) return socket;
        socket.Dispose();
        if (result == -(nint)Errno.ECONNREFUSED || result == -(nint)Errno.ENOENT) throw HullException.Conflict($"cannot start container {Id}: it is not in the created state");
        throw Check.Failure((Errno)(int)-result, $"start container {Id}");
    }

    internal void RemoveStartSocket() => _ = FileCalls.UnlinkAt(_descriptor.Value, StartSocket);

    /// <summary>Removes the directory, which frees the id.</summary>
    internal void Remove()
    {
        TreeRemover.Empty(_descriptor, $"the state of {Id}");
        var result = FileCalls.UnlinkAt(AT_FDCWD, $"{_root}/{Id}", AT_REMOVEDIR);
        if (result != -(nint)Errno.ENOENT) Check.Result(result, $"remove the state directory of {Id}");
    }

    public void Dispose() => _descriptor.Dispose();

    internal static HullException NotFound(string id) => HullException.NotFound($"container {id} does not exist");

    private static ContainerDirectory Open(string root, string id, SafeFd parent, bool locked)
    {
        var result = FileCalls.OpenAt(parent.Value, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (result == -(nint)Errno.ENOENT || result == -(nint)Errno.ENOTDIR) throw NotFound(id);
        var descriptor = Check.Descriptor(result, $"open the state directory of {id}");
        if (locked) Check.Result(FileCalls.Flock(descriptor.Value, FileFlags.LOCK_EX), $"lock the state directory of {id}");
        // Whoever held the lock may have removed the directory meanwhile.
        if (!locked || descriptor.Stat().Links > 0) return new ContainerDirectory(root, id, descriptor);
        descriptor.Dispose();
        throw NotFound(id);
    }

    private static SafeFd OpenOrMakeRoot(string root)
    {
        var result = FileCalls.OpenAt(AT_FDCWD, root, O_PATH | O_DIRECTORY);
        if (result == -(nint)Errno.ENOENT)
        {
            Directory.CreateDirectory(root, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            result = FileCalls.OpenAt(AT_FDCWD, root, O_PATH | O_DIRECTORY);
        }

        return Check.Descriptor(result, $"open the state root {root}");
    }

    /// <summary>By way of our own descriptor, because a socket's path has 107 bytes and a state root may be longer.</summary>
    private byte[] StartAddress() => SocketCalls.UnixAddress($"/proc/self/fd/{_descriptor.Value}/{StartSocket}");

    private static void RequireId(string id)
    {
        if (!IsId(id))
            throw HullException.Invalid($"invalid container id '{id}': expected 1 to 1024 letters, digits, '_', '+', '-' and '.', and not '.' or '..'");
    }

    private static bool IsId(string id)
    {
        if (id.Length is 0 or > 1024 || id is "." or "..") return false;
        foreach (var c in id)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('_' or '+' or '-' or '.')) return false;
        }

        return true;
    }
}
