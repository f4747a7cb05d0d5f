using Hull.Core;
using Hull.Linux.DBus;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Cgroups;

/// <summary>
/// The part of systemd's D-Bus interface that cgroups need (org.freedesktop.systemd1(5)). Root speaks with the manager itself,
/// over its private socket, and needs no message bus; an ordinary user with the manager of that user.
/// </summary>
internal sealed class SystemdManager : IDisposable
{
    private const string Service = "org.freedesktop.systemd1";
    private const string Place = "/org/freedesktop/systemd1";
    private const string Interface = Service + ".Manager";
    private const string NoSuchUnit = Service + ".NoSuchUnit";
    private const string UnitExists = Service + ".UnitExists";
    private readonly DBusConnection _connection;

    private SystemdManager(DBusConnection connection) => _connection = connection;

    /// <exception cref="HullException">Unsupported where no manager answers.</exception>
    internal static SystemdManager Open(bool rootless)
    {
        var failure = "there is no socket of it";
        foreach (var (path, isBus) in Places(rootless))
        {
            try
            {
                var manager = new SystemdManager(DBusConnection.Open(path));
                if (isBus) manager.JoinBus();
                return manager;
            }
            catch (HullException error) when (error.Kind is not ErrorKind.Timeout)
            {
                failure = error.Message;
            }
        }

        throw HullException.Unsupported(
            $"the systemd cgroup driver needs {(rootless ? "this user's" : "the system's")} systemd, which cannot be reached ({failure}): "
            + "leave --systemd-cgroup out to have cgroups made through cgroupfs");
    }

    /// <summary>Makes a scope with a process in it, and waits until it is there.</summary>
    internal void StartTransient(string unit, IReadOnlyList<UnitProperty> properties)
    {
        var body = new DBusWriter().Text(unit).Text("replace").Array(8, properties, UnitProperty.Write).Array<UnitProperty>(8, [], UnitProperty.Write);
        var answer = Call("StartTransientUnit", "ssa(sv)a(sa(sv))", body);
        if (answer.Error == UnitExists)
        {
            // One that failed stays until it is reset; a live one keeps its name, and the second call says so.
            Call("ResetFailedUnit", "s", new DBusWriter().Text(unit));
            answer = Call("StartTransientUnit", "ssa(sv)a(sa(sv))", body);
        }

        if (answer.Error == UnitExists) throw HullException.Exists($"systemd has a unit {unit} already");
        WaitForJob(answer, $"make {unit}");
    }

    /// <summary>Changes properties of a unit until the next boot.</summary>
    internal void SetProperties(string unit, IReadOnlyList<UnitProperty> properties)
    {
        if (properties.Count == 0) return;
        var answer = Call("SetUnitProperties", "sba(sv)", new DBusWriter().Text(unit).Boolean(true).Array(8, properties, UnitProperty.Write));
        if (answer.Error.Length > 0) throw Refused($"change {unit}", answer);
    }

    /// <summary>Stops a unit and forgets it. One that is gone is no error.</summary>
    internal void Stop(string unit)
    {
        var answer = Call("StopUnit", "ss", new DBusWriter().Text(unit).Text("replace"));
        if (answer.Error != NoSuchUnit) WaitForJob(answer, $"stop {unit}");
        // Refused for a unit that did not fail, which is the usual case.
        Call("ResetFailedUnit", "s", new DBusWriter().Text(unit));
    }

    /// <summary>The cgroup that all of this manager's are below; the root has an empty path.</summary>
    internal string ControlGroup()
    {
        var body = new DBusWriter().Text(Interface).Text("ControlGroup");
        var answer = _connection.Call(new DBusMessage
        {
            Service = Service, Object = Place, InterfaceName = "org.freedesktop.DBus.Properties", Name = "Get", Signature = "ss", Body = body.Bytes.ToArray(),
        });
        if (answer.Error.Length > 0) throw Refused("tell its cgroup", answer);
        var reader = answer.Read();
        return reader.Signature() == "s" ? reader.Text() : "";
    }

    public void Dispose() => _connection.Dispose();

    private static IEnumerable<(string Path, bool IsBus)> Places(bool rootless)
    {
        if (!rootless)
        {
            yield return ("/run/systemd/private", false);
            yield return ("/run/dbus/system_bus_socket", true);
            yield break;
        }

        var directory = Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") is { Length: > 0 } given ? given : $"/run/user/{ProcessCalls.GetEffectiveUser()}";
        yield return (directory + "/systemd/private", false);
        if (Environment.GetEnvironmentVariable("DBUS_SESSION_BUS_ADDRESS") is { } address && address.StartsWith("unix:path=", StringComparison.Ordinal))
            yield return (address["unix:path=".Length..].Split(',')[0], true);
        yield return (directory + "/bus", true);
    }

    /// <summary>On a bus every client gets a name first, and signals by asking for them.</summary>
    private void JoinBus()
    {
        Require("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", "", new DBusWriter());
        Require("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", "s",
            new DBusWriter().Text($"type='signal',interface='{Interface}',member='JobRemoved'"));
        Require(Service, Place, Interface, "Subscribe", "", new DBusWriter());
    }

    private void Require(string service, string place, string type, string name, string signature, DBusWriter body)
    {
        var answer = _connection.Call(new DBusMessage
        {
            Service = service, Object = place, InterfaceName = type, Name = name, Signature = signature, Body = body.Bytes.ToArray(),
        });
        if (answer.Error.Length > 0) throw Refused(name, answer);
    }

    private DBusMessage Call(string name, string signature, DBusWriter body) => _connection.Call(new DBusMessage
    {
        Service = Service, Object = Place, InterfaceName = Interface, Name = name, Signature = signature, Body = body.Bytes.ToArray(),
    });

    /// <summary>Waits for the end of the job that an answer names.</summary>
    private void WaitForJob(DBusMessage answer, string purpose)
    {
        if (answer.Error.Length > 0) throw Refused(purpose, answer);
        var job = answer.Read().Text();
        var result = "";
        _connection.WaitForSignal(signal =>
        {
            if (signal.Name != "JobRemoved" || signal.Signature != "uoss") return false;
            var reader = signal.Read();
            reader.UInt32();
            if (reader.Text() != job) return false;
            reader.Text();
            result = reader.Text();
            return true;
        });
        if (result != "done") throw new HullException(ErrorKind.Internal, $"systemd did not {purpose}: its job ended as '{result}'");
    }

    private static HullException Refused(string purpose, DBusMessage answer)
    {
        var text = answer.Signature.StartsWith('s') ? answer.Read().Text() : answer.Error;
        var kind = answer.Error switch
        {
            NoSuchUnit => ErrorKind.NotFound,
            "org.freedesktop.DBus.Error.AccessDenied" or "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired" => ErrorKind.PermissionDenied,
            _ => ErrorKind.InvalidArgument,
        };
        return new HullException(kind, $"systemd refuses to {purpose}: {text}");
    }
}
