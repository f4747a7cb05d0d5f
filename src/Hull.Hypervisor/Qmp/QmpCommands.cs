using System.Text.Json;

namespace Hull.Hypervisor.Qmp;

/// <summary>The commands Hull gives to a monitor, by topic. Their names and arguments follow QEMU's QAPI reference.</summary>
public static partial class QmpCommands
{
    public static QmpCommand<QmpVoid> NegotiateCapabilities() => Plain("qmp_capabilities");

    public static QmpCommand<JsonElement> QuerySchema() => new("query-qmp-schema", null, answer => answer.Clone());

    public static QmpCommand<RunState> QueryStatus() => new("query-status", null, answer =>
        new RunState(answer.GetProperty("status").GetString() ?? "", answer.GetProperty("running").GetBoolean()));

    public static QmpCommand<QmpVoid> Stop() => Plain("stop");

    public static QmpCommand<QmpVoid> Continue() => Plain("cont");

    public static QmpCommand<QmpVoid> Quit() => Plain("quit");

    public static QmpCommand<QmpVoid> SystemReset() => Plain("system_reset");

    public static QmpCommand<QmpVoid> SystemPowerdown() => Plain("system_powerdown");

    /// <summary>Writes the screen of a display device as PNG (QEMU 7.1) or PPM into a file.</summary>
    public static QmpCommand<QmpVoid> ScreenDump(string file, string format) =>
        Plain("screendump", new QemuProperties().Add("filename", file).Add("format", format));

    /// <summary>Sends a file descriptor, which travels as ancillary data of the same message, into the monitor.</summary>
    public static QmpCommand<QmpVoid> GetFd(string name) => Plain("getfd", new QemuProperties().Add("fdname", name));

    public static QmpCommand<bool> QueryKvm() =>
        new("query-kvm", null, answer => answer.GetProperty("enabled").GetBoolean());

    private static QmpCommand<QmpVoid> Plain(string name, QemuProperties? arguments = null) =>
        new(name, arguments, static _ => default);
}

/// <summary>State of a machine as <c>query-status</c> names it: <c>running</c>, <c>paused</c>, <c>inmigrate</c>, …</summary>
public sealed record RunState(string Status, bool Running);
