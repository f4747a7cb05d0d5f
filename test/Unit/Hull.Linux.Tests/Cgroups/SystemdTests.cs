using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;
using Hull.Linux.DBus;
using Hull.Linux.Syscalls;
using Hull.Testing;

namespace Hull.Linux.Tests.Cgroups;

/// <summary>Names, properties and messages of the systemd driver; with a real systemd it is tried in Hull.RuntimeContract.Tests.</summary>
public sealed class SystemdTests
{
    [Theory]
    [InlineData("a.slice:hull:c1", false, "a.slice", "hull-c1.scope")]
    [InlineData(":libpod:c1", false, "system.slice", "libpod-c1.scope")]
    [InlineData(":libpod:c1", true, "user.slice", "libpod-c1.scope")]
    [InlineData("a.slice::c1", false, "a.slice", "c1.scope")]
    [InlineData(null, false, "system.slice", "hull-id.scope")]
    public void ScopesAreNamedBySlicePrefixAndName(string? path, bool rootless, string slice, string unit) =>
        Assert.Equal((slice, unit), SystemdCgroup.ParseName("id", path, rootless));

    [Theory]
    [InlineData("/a/b")]
    [InlineData("a:b")]
    [InlineData("a:b:")]
    [InlineData("a:b:c.slice")]
    public void OtherPathsAreRefused(string path) => Assert.Throws<HullException>(() => SystemdCgroup.ParseName("id", path, false));

    [Theory]
    [InlineData("system.slice", "/system.slice")]
    [InlineData("a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice")]
    [InlineData("-.slice", "")]
    public void SlicesNestByTheirNames(string slice, string path) => Assert.Equal(path, SystemdCgroup.SlicePath(slice));

    [Theory]
    [InlineData("a")]
    [InlineData("a--b.slice")]
    [InlineData("a/b.slice")]
    [InlineData(".slice")]
    public void WhatIsNoSliceIsRefused(string slice) => Assert.Throws<HullException>(() => SystemdCgroup.SlicePath(slice));

    [Fact]
    public void LimitsBecomePropertiesOfTheVersion()
    {
        var limits = new CgroupLimits
        {
            Memory = new MemoryLimits { Limit = 1 << 20, Swap = 3 << 20 }, Pids = -1,
            Cpu = new CpuLimits { Shares = 1024, Quota = 15_001, Period = 100_000, Cpus = "0,9" },
        };
        Assert.Equal(
            "MemoryMax=1048576 MemorySwapMax=2097152 CPUWeight=100 CPUQuotaPeriodUSec=100000 CPUQuotaPerSecUSec=160000 AllowedCPUs=0102 TasksMax=18446744073709551615",
            Text(UnitProperties.Of(limits, CgroupVersion.V2)));
        Assert.Equal("MemoryLimit=1048576 CPUShares=1024 CPUQuotaPeriodUSec=100000 CPUQuotaPerSecUSec=160000 TasksMax=18446744073709551615",
            Text(UnitProperties.Of(limits, CgroupVersion.V1)));

        static string Text(IEnumerable<UnitProperty> properties) =>
            string.Join(' ', properties.Select(property => $"{property.Name}={(property.Value is byte[] bytes ? Convert.ToHexString(bytes) : property.Value)}"));
    }

    [Fact]
    public void DevicesAreAllowedByNumberAndByDriver()
    {
        var properties = UnitProperties.Of(new CgroupLimits
        {
            Devices =
            [
                new DeviceRule(true, DeviceKind.Character, 1, 3, DeviceAccess.All), new DeviceRule(true, DeviceKind.Character, 136, null, DeviceAccess.Read),
                new DeviceRule(true, DeviceKind.Block, null, null, DeviceAccess.MakeNode),
            ],
        }, CgroupVersion.V2);
        Assert.Equal("strict", properties[0].Value);
        Assert.Equal([("/dev/char/1:3", "rwm"), ("char-pts", "r"), ("block-*", "m")], ((string, string)[])properties[1].Value);
    }

    /// <summary>The bytes as the D-Bus specification has them: padding before structs counts for nothing in an array's size.</summary>
    [Fact]
    public void PropertiesAreMarshalledAsTheSpecificationHasIt()
    {
        var writer = new DBusWriter().Array(8, [new UnitProperty("A", true), new UnitProperty("B", 1UL)], UnitProperty.Write);
        Assert.Equal(
            "28000000" + "00000000" // size of the array, padding to the first struct
            + "01000000" + "4100" + "016200" + "000000" + "01000000" // "A", variant of b
            + "01000000" + "4200" + "017400" + "000000000000" + "00" + "0100000000000000",
            Normalize(Convert.ToHexString(writer.Bytes)));

        static string Normalize(string hex) => hex.ToLowerInvariant();
    }

    [Fact]
    public void MessagesComeBackAsTheyWereWritten()
    {
        var message = new DBusMessage
        {
            Kind = DBusMessageKind.Error, Serial = 7, Answers = 5, Error = "org.example.No", Signature = "s", Body = new DBusWriter().Text("why").Bytes.ToArray(),
        };
        var bytes = message.Write();
        Assert.Equal(bytes.Length, DBusMessage.SizeOf(bytes));
        var read = DBusMessage.Parse(bytes);
        Assert.Equal((DBusMessageKind.Error, 7u, 5u, "org.example.No", "why"), (read.Kind, read.Serial, read.Answers, read.Error, read.Read().Text()));
    }

    /// <summary>A server that says what it likes neither hangs nor crashes the client.</summary>
    [Theory]
    [InlineData("REJECTED EXTERNAL\r\n", ErrorKind.PermissionDenied)]
    [InlineData("DATA\r\n", ErrorKind.Unavailable)]
    [InlineData("", ErrorKind.Unavailable)]
    public async Task AServerThatDoesNotTakeUsIsAnError(string answer, ErrorKind kind)
    {
        using var directory = new TemporaryDirectory();
        using var listener = Listen(directory["bus"]);
        var server = Task.Run(() => Serve(listener, System.Text.Encoding.ASCII.GetBytes(answer)), TestContext.Current.CancellationToken);
        Assert.Equal(kind, Assert.Throws<HullException>(() => DBusConnection.Open(directory["bus"]).Dispose()).Kind);
        await server;
    }

    [Fact]
    public async Task SignalsThatComeBeforeAnAnswerAreKept()
    {
        using var directory = new TemporaryDirectory();
        using var listener = Listen(directory["bus"]);
        byte[] answer =
        [
            .. "DATA\r\nOK 1234\r\n"u8,
            .. new DBusMessage { Kind = DBusMessageKind.Signal, Serial = 1, Object = "/x", InterfaceName = "a.b", Name = "First" }.Write(),
            .. new DBusMessage { Kind = DBusMessageKind.Reply, Serial = 2, Answers = 1 }.Write(),
        ];
        var server = Task.Run(() => Serve(listener, answer), TestContext.Current.CancellationToken);
        using (var connection = DBusConnection.Open(directory["bus"]))
        {
            Assert.Equal(DBusMessageKind.Reply, connection.Call(new DBusMessage { Object = "/x", Name = "Do" }).Kind);
            Assert.Equal("First", connection.WaitForSignal(_ => true).Name);
        }

        await server;
    }

    private static SafeFd Listen(string path)
    {
        var socket = SocketCalls.Create(Sockets.AF_UNIX, Sockets.SOCK_STREAM);
        Check.Result(SocketCalls.Bind(socket.Value, SocketCalls.UnixAddress(path)), $"bind {path}");
        Check.Result(SocketCalls.Listen(socket.Value, 1), $"listen on {path}");
        return socket;
    }

    /// <summary>Takes what the client begins with, answers, and waits for the client's end where it is still there.</summary>
    private static void Serve(SafeFd listener, byte[] answer)
    {
        using var client = new SafeFd((int)Check.Result(SocketCalls.Accept(listener.Value), $"accept"));
        var buffer = new byte[4096];
        FileCalls.Read(client.Value, buffer);
        FileCalls.Write(client.Value, answer);
        if (answer.Length > 40) FileCalls.Read(client.Value, buffer);
    }
}
