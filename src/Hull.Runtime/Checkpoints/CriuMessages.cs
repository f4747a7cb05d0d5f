using Hull.Linux;

namespace Hull.Runtime.Checkpoints;

/// <summary>criu's RPC (images/rpc.proto of criu): numbers of its messages' fields.</summary>
internal static class CriuFields
{
    internal const int RequestType = 1, RequestOptions = 2, RequestNotifySuccess = 3;
    internal const int ResponseType = 1, ResponseSuccess = 2, ResponseRestore = 4, ResponseNotify = 5, ResponseErrno = 7, ResponseMessage = 9;
    internal const int RestorePid = 1, NotifyScript = 1, NotifyPid = 2;
}

/// <summary>What criu is asked for, and what it announces.</summary>
internal enum CriuRequestType
{
    Dump = 1,
    Restore = 2,
    Check = 3,
    PreDump = 4,
    Notify = 6,
}

/// <summary>One answer, or one announcement of a step that criu makes.</summary>
internal readonly record struct CriuResponse(CriuRequestType Type, bool Success, int Pid, string Script, int ErrorNumber, string Message)
{
    internal static CriuResponse Parse(ReadOnlySpan<byte> bytes)
    {
        var response = new CriuResponse(0, false, 0, "", 0, "");
        for (var reader = new ProtocolBufferReader(bytes); reader.Next();)
        {
            response = reader.Field switch
            {
                CriuFields.ResponseType => response with { Type = (CriuRequestType)reader.Number },
                CriuFields.ResponseSuccess => response with { Success = reader.Number != 0 },
                CriuFields.ResponseErrno => response with { ErrorNumber = (int)reader.Number },
                CriuFields.ResponseMessage => response with { Message = reader.Text },
                CriuFields.ResponseRestore => response with { Pid = NumberOf(reader.Bytes, CriuFields.RestorePid) },
                CriuFields.ResponseNotify => response with { Pid = NumberOf(reader.Bytes, CriuFields.NotifyPid), Script = ScriptOf(reader.Bytes) },
                _ => response,
            };
        }

        return response;
    }

    private static int NumberOf(ReadOnlySpan<byte> message, int field)
    {
        for (var reader = new ProtocolBufferReader(message); reader.Next();)
        {
            if (reader.Field == field) return (int)reader.Number;
        }

        return 0;
    }

    private static string ScriptOf(ReadOnlySpan<byte> message)
    {
        for (var reader = new ProtocolBufferReader(message); reader.Next();)
        {
            if (reader.Field == CriuFields.NotifyScript) return reader.Text;
        }

        return "";
    }
}

/// <summary>The options of a request: those of criu's command line, by their field.</summary>
internal sealed class CriuRequest(CriuRequestType type)
{
    private const int LogLevel = 4;
    private readonly ProtocolBufferWriter _options = new();

    internal CriuRequestType Type { get; } = type;

    /// <summary>criu opens them through our procfs entry, by our numbers.</summary>
    internal void Directories(SafeFd images, SafeFd work) => _options.Number(1, images.Value).Number(17, work.Value);

    internal void Log(string file) => _options.Number(9, LogLevel).Text(10, file);

    internal void Process(int pid) => _options.Number(2, pid);

    internal void Root(string path) => _options.Text(13, path);

    internal void ConfigurationFile(string path) => _options.Text(51, path);

    internal void External(string resource) => _options.Text(37, resource);

    /// <param name="key">What it stands for.</param>
    /// <param name="descriptor">Its number in criu.</param>
    internal void Inherit(string key, int descriptor) => _options.Message(27, new ProtocolBufferWriter().Text(1, key).Number(2, descriptor));

    internal void CgroupRoot(string controller, string path) => _options.Message(25, new ProtocolBufferWriter().Text(1, controller).Text(2, path));

    internal void FreezeCgroup(string path) => _options.Text(44, path);

    internal void Common(CriuOptions options)
    {
        // Announcements of steps; terminals without a master inside; devices whose path changed.
        _options.Flag(12, true).Flag(50, true).Flag(6, true);
        _options.Flag(5, options.TcpEstablished).Flag(4, options.ExternalUnixSockets).Flag(7, options.ShellJob).Flag(8, options.FileLocks)
            .Flag(16, options.AutoDedup).Flag(48, options.LazyPages).Flag(24, true);
        if (options.CgroupsMode != CgroupsMode.Unset) _options.Number(34, (long)options.CgroupsMode);
        if (options.EmptyNamespaces != 0) _options.Number(38, (long)options.EmptyNamespaces);
    }

    internal void Dump(CheckpointOptions options)
    {
        _options.Flag(3, options.LeaveRunning || options.PreDump).Text(14, options.ParentPath);
        // A file that was deleted while it is open is kept by a link beside it.
        _options.Flag(18, true).Flag(15, options.PreDump || options.ParentPath is not null);
        if (options.PageServer is { } server) _options.Message(11, new ProtocolBufferWriter().Text(1, server.Address).Number(2, server.Port));
        if (options.StatusDescriptor is { } descriptor) _options.Number(49, descriptor.Value);
    }

    /// <summary>The continued process becomes a child of criu's parent, which can collect it.</summary>
    internal void Restore(RestoreOptions options) => _options.Flag(26, true).Text(53, options.SecurityProfile).Text(63, options.MountContext);

    internal byte[] ToArray() =>
        new ProtocolBufferWriter().Number(CriuFields.RequestType, (long)Type).Message(CriuFields.RequestOptions, _options).ToArray();

    /// <summary>The answer to an announcement: criu goes on.</summary>
    internal static byte[] Acknowledgement() =>
        new ProtocolBufferWriter().Number(CriuFields.RequestType, (long)CriuRequestType.Notify).Flag(CriuFields.RequestNotifySuccess, true).ToArray();
}
