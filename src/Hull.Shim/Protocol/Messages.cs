namespace Hull.Shim.Protocol;

/// <summary>
/// What a shim is to build and supervise. With the frame comes one descriptor: the root file system as a mount that is
/// attached nowhere yet. A resident program makes its instance's root itself, and is given none.
/// </summary>
public sealed class CreateMessage
{
    public string Id = "";

    /// <summary>Directory with the OCI bundle.</summary>
    public string Bundle = "";

    /// <summary>Directory for the exit record.</summary>
    public string StateDirectory = "";

    /// <summary>An OCI runtime program; empty for the built-in runtime.</summary>
    public string Runtime = "";

    public string[] RuntimeArguments = [];

    /// <summary>State directory of the runtime (<c>--root</c>).</summary>
    public string RuntimeRoot = "";

    public bool Terminal;
    public bool OpenInput;
    public bool InputOnce;
    public int Columns;
    public int Rows;
    public LogMessage Log = new();

    /// <summary>File of the memory cgroup that counts kills (memory.oom_control or memory.events); empty for none.</summary>
    public string OomFile = "";

    /// <summary>Cgroup of an instance whose runtime is a resident program (hull-vm), as the runtime-spec has it; empty for others.</summary>
    public string CgroupsPath = "";

    public bool IsResident => CgroupsPath.Length > 0;

    public FrameWriter WriteTo(FrameWriter writer)
    {
        writer.Write(Id).Write(Bundle).Write(StateDirectory).Write(Runtime).Write(RuntimeArguments).Write(RuntimeRoot);
        writer.Write(Terminal).Write(OpenInput).Write(InputOnce).Write(Columns).Write(Rows);
        writer.Write(Log.Driver).Write(Log.Path).Write(Log.MaxSize).Write(Log.MaxFiles).Write(Log.Compress).Write(Log.Options);
        return writer.Write(OomFile).Write(CgroupsPath);
    }

    public static CreateMessage Read(ref FrameReader reader)
    {
        var message = new CreateMessage
        {
            Id = reader.ReadText(),
            Bundle = reader.ReadText(),
            StateDirectory = reader.ReadText(),
            Runtime = reader.ReadText(),
            RuntimeArguments = reader.ReadTexts(),
            RuntimeRoot = reader.ReadText(),
        };
        message.Terminal = reader.ReadBool();
        message.OpenInput = reader.ReadBool();
        message.InputOnce = reader.ReadBool();
        message.Columns = reader.ReadInt32();
        message.Rows = reader.ReadInt32();
        message.Log = new LogMessage
        {
            Driver = reader.ReadText(),
            Path = reader.ReadText(),
            MaxSize = reader.ReadInt64(),
            MaxFiles = reader.ReadInt32(),
            Compress = reader.ReadBool(),
            Options = reader.ReadTexts(),
        };
        message.OomFile = reader.ReadText();
        message.CgroupsPath = reader.ReadText();
        return message;
    }
}

/// <summary>Where output goes.</summary>
public sealed class LogMessage
{
    public string Driver = "none";
    public string Path = "";
    public long MaxSize;
    public int MaxFiles = 1;
    public bool Compress;

    /// <summary>Names and values in turn.</summary>
    public string[] Options = [];

    public string? Option(string name)
    {
        for (var i = 0; i + 1 < Options.Length; i += 2)
        {
            if (Options[i] == name) return Options[i + 1];
        }

        return null;
    }
}

/// <summary>A further process.</summary>
public sealed class ExecMessage
{
    public string ExecId = "";

    /// <summary>The OCI process object as JSON.</summary>
    public byte[] Process = [];

    public bool Terminal;

    /// <summary>Connect the input; otherwise it is /dev/null.</summary>
    public bool OpenInput;

    public int Columns;
    public int Rows;

    /// <summary>Streams that this connection carries: 1 input, 2 output, 4 error; 0 for none.</summary>
    public int Streams;

    public FrameWriter WriteTo(FrameWriter writer) =>
        writer.Write(ExecId).Write(Process).Write(Terminal).Write(OpenInput).Write(Columns).Write(Rows).Write(Streams);

    public static ExecMessage Read(ref FrameReader reader) => new()
    {
        ExecId = reader.ReadText(),
        Process = reader.ReadBytes(),
        Terminal = reader.ReadBool(),
        OpenInput = reader.ReadBool(),
        Columns = reader.ReadInt32(),
        Rows = reader.ReadInt32(),
        Streams = reader.ReadInt32(),
    };
}

/// <summary>Where a shim is in its life.</summary>
public enum ShimState
{
    Empty,
    Created,
    Running,
    Exited,
}

/// <summary>Everything an engine needs to take a shim over.</summary>
public sealed class StatusMessage
{
    public ShimState State;
    public int Pid;

    /// <summary>Start of user code, nanoseconds since 1970; 0 before it.</summary>
    public long StartedAt;

    public FrameWriter WriteTo(FrameWriter writer) => writer.Write((int)State).Write(Pid).Write(StartedAt);

    public static StatusMessage Read(ref FrameReader reader) => new()
    {
        State = (ShimState)reader.ReadInt32(),
        Pid = reader.ReadInt32(),
        StartedAt = reader.ReadInt64(),
    };
}
