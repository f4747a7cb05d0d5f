using Hull.Core;
using Hull.Linux.Cgroups;

namespace Hull.Linux.Tests.Cgroups;

public sealed class DevicePolicyTests
{
    private static readonly DeviceRule DenyAll = new(false, DeviceKind.All, null, null, DeviceAccess.All);

    private static DeviceRule Rule(bool allow, long? major, long? minor, string access, DeviceKind kind = DeviceKind.Character) =>
        new(allow, kind, major, minor, DevicePolicy.ParseAccess(access));

    [Fact]
    public void AllowRulesBecomeExceptionsOfDenyAll()
    {
        var policy = DevicePolicy.Of([DenyAll, Rule(true, 1, 3, "rw"), Rule(true, 1, 3, "m"), Rule(true, 1, null, "r")]);
        Assert.False(policy.AllowsByDefault);
        Assert.Equal(DeviceAccess.All, policy.Exceptions[new DeviceKey(DeviceKind.Character, 1, 3)]);
        Assert.Equal(2, policy.Exceptions.Count);
    }

    [Fact]
    public void ALaterDenyTakesAccessAway()
    {
        var policy = DevicePolicy.Of([Rule(true, 1, 3, "rwm"), Rule(true, 1, 5, "r"), Rule(false, 1, 3, "m"), Rule(false, 1, 5, "rwm")]);
        Assert.Equal([new DeviceKey(DeviceKind.Character, 1, 3)], policy.Exceptions.Keys);
        Assert.Equal(DeviceAccess.Read | DeviceAccess.Write, policy.Exceptions.Values.Single());
    }

    [Fact]
    public void AllowAllForgetsWhatWasBefore()
    {
        var policy = DevicePolicy.Of([Rule(true, 1, 3, "rwm"), DenyAll with { Allow = true }, Rule(false, 10, 200, "rw")]);
        Assert.True(policy.AllowsByDefault);
        Assert.Equal([new DeviceKey(DeviceKind.Character, 10, 200)], policy.Exceptions.Keys);
    }

    [Fact]
    public void AWiderDenyRemovesNarrowerExceptions() =>
        Assert.Empty(DevicePolicy.Of([Rule(true, 1, 3, "rw"), Rule(true, 1, null, "m"), Rule(false, null, null, "rwm")]).Exceptions);

    [Fact]
    public void AHoleInAWiderExceptionIsRefused()
    {
        var error = Assert.Throws<HullException>(() => DevicePolicy.Of([Rule(true, 1, null, "rw"), Rule(false, 1, 3, "w")]));
        Assert.Equal(ErrorKind.Unsupported, error.Kind);
    }

    [Fact]
    public void ReadsWhatTheKernelPrints()
    {
        var policy = DevicePolicy.ParseList("c 1:3 rwm\nb *:* m\n");
        Assert.False(policy.AllowsByDefault);
        Assert.Equal(DeviceAccess.MakeNode, policy.Exceptions[new DeviceKey(DeviceKind.Block, null, null)]);
        Assert.True(DevicePolicy.ParseList("a *:* rwm\n").AllowsByDefault);
    }

    [Theory]
    [InlineData(true, 1, 3, 1, true)]
    [InlineData(true, 1, 3, 4, false)]
    [InlineData(true, 1, 5, 6, true)]
    [InlineData(true, 1, 5, 7, false)]
    [InlineData(true, 136, 9, 7, true)]
    [InlineData(false, 8, 0, 1, true)]
    [InlineData(false, 8, 0, 2, false)]
    [InlineData(true, 10, 200, 2, false)]
    public void TheProgramDecidesAsThePolicySays(bool character, uint major, uint minor, int access, bool expected)
    {
        var policy = DevicePolicy.Of([
            DenyAll, Rule(true, null, null, "m"), Rule(true, null, null, "m", DeviceKind.Block), Rule(true, 1, 3, "r"),
            Rule(true, 1, 5, "rw"), Rule(true, 136, null, "rwm"),
        ]);
        Assert.Equal(expected, DeviceProgramMachine.Run(DeviceProgram.Build(policy), character ? 2 : 1, major, minor, access));
    }

    [Theory]
    [InlineData(10, 200, 4, false)]
    [InlineData(10, 200, 6, false)]
    [InlineData(10, 200, 1, true)]
    [InlineData(10, 201, 7, true)]
    public void ADeniedExceptionDeniesAnyOfItsAccess(uint major, uint minor, int access, bool expected)
    {
        var policy = DevicePolicy.Of([DenyAll with { Allow = true }, Rule(false, 10, 200, "rw")]);
        Assert.Equal(expected, DeviceProgramMachine.Run(DeviceProgram.Build(policy), 2, major, minor, access));
    }
}

/// <summary>As much of the eBPF machine as device programs use.</summary>
internal static class DeviceProgramMachine
{
    internal static bool Run(ulong[] program, int kind, uint major, uint minor, int access)
    {
        uint[] context = [(uint)(access << 16 | kind), major, minor];
        var registers = new ulong[11];
        for (var counter = 0; ; counter++)
        {
            var instruction = program[counter];
            var destination = (int)(instruction >> 8) & 0xf;
            var source = (int)(instruction >> 12) & 0xf;
            var offset = (short)(instruction >> 16);
            var constant = (int)(instruction >> 32);
            switch ((byte)instruction)
            {
                case 0x61: registers[destination] = context[offset / 4]; break;
                case 0x54: registers[destination] = (uint)registers[destination] & (uint)constant; break;
                case 0x74: registers[destination] = (uint)registers[destination] >> constant; break;
                case 0xbc: registers[destination] = (uint)registers[source]; break;
                case 0xb7: registers[destination] = (ulong)constant; break;
                case 0x55: if (registers[destination] != (ulong)constant) counter += offset; break;
                case 0x15: if (registers[destination] == (ulong)constant) counter += offset; break;
                case 0x5d: if (registers[destination] != registers[source]) counter += offset; break;
                case 0x95: return registers[0] == 1;
                default: throw new InvalidOperationException($"instruction {(byte)instruction:x}");
            }
        }
    }
}
