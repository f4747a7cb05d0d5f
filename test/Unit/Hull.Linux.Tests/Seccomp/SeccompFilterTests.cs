using System.Buffers.Binary;
using Hull.Core;
using Hull.Linux.Seccomp;
using Hull.Testing;

namespace Hull.Linux.Tests.Seccomp;

public sealed class SeccompFilterTests
{
    private const uint ArchX86On64 = 0xC000003E;
    private const uint Allow = 0x7fff0000;
    private const uint ErrnoReturn = 0x00050000;

    private static SeccompRule Rule(SeccompAction action, params string[] names) => new(names, action, null, []);

    private static SeccompPolicy Deny(params SeccompRule[] rules) => new() { DefaultAction = SeccompAction.Errno, Rules = rules };

    [Fact]
    public void NamedCallsAreAllowedAndOthersDenied()
    {
        var program = SeccompFilter.Get(Deny(Rule(SeccompAction.Allow, "read", "getpid", "memfd_secret")), null);
        Assert.Equal(Allow, FilterMachine.Run(program, 0));
        Assert.Equal(Allow, FilterMachine.Run(program, 39));
        Assert.Equal(ErrnoReturn | 1, FilterMachine.Run(program, 2));
    }

    [Fact]
    public void CallsNewerThanTheProfileAnswerNoSuchCall()
    {
        var program = SeccompFilter.Get(Deny(Rule(SeccompAction.Allow, "read", "getpid")), null);
        Assert.Equal(ErrnoReturn | 38, FilterMachine.Run(program, 40));
        Assert.Equal(ErrnoReturn | 1, FilterMachine.Run(program, 2));
        var allowing = SeccompFilter.Get(new SeccompPolicy { DefaultAction = SeccompAction.Allow, Rules = [Rule(SeccompAction.Errno, "read")] }, null);
        Assert.Equal(Allow, FilterMachine.Run(allowing, 400));
    }

    [Fact]
    public void ArgumentsAreCompared()
    {
        var rule = new SeccompRule(["personality"], SeccompAction.Allow, null, [new SeccompArgument(0, 8, 0, SeccompOperator.Equal)]);
        var program = SeccompFilter.Get(Deny(rule), null);
        Assert.Equal(Allow, FilterMachine.Run(program, 135, 8));
        Assert.Equal(ErrnoReturn | 1, FilterMachine.Run(program, 135, 9));
    }

    [Fact]
    public void SeveralComparisonsOfOneArgumentAreAlternatives()
    {
        var rule = new SeccompRule(["personality"], SeccompAction.Allow, null,
            [new SeccompArgument(0, 8, 0, SeccompOperator.Equal), new SeccompArgument(0, 0, 0, SeccompOperator.Equal)]);
        var program = SeccompFilter.Get(Deny(rule), null);
        Assert.Equal(Allow, FilterMachine.Run(program, 135, 0));
        Assert.Equal(Allow, FilterMachine.Run(program, 135, 8));
        Assert.Equal(ErrnoReturn | 1, FilterMachine.Run(program, 135, 2));
    }

    [Fact]
    public void TheErrnoIsTheOneAskedFor()
    {
        var policy = Deny(Rule(SeccompAction.Allow, "getpid"), new SeccompRule(["read"], SeccompAction.Errno, 99, [])) with { DefaultErrno = 38 };
        var program = SeccompFilter.Get(policy, null);
        Assert.Equal(ErrnoReturn | 99, FilterMachine.Run(program, 0));
        Assert.Equal(ErrnoReturn | 38, FilterMachine.Run(program, 2));
    }

    [Fact]
    public void FlagsAreThoseOfTheSystemCall()
    {
        var policy = new SeccompPolicy { DefaultAction = SeccompAction.Allow };
        Assert.Equal(4u, SeccompFilter.Get(policy, null).Flags);
        Assert.Equal(0u, SeccompFilter.Get(policy with { Flags = [] }, null).Flags);
        Assert.Equal(6u, SeccompFilter.Get(policy with { Flags = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"] }, null).Flags);
        Assert.True(SeccompFilter.Get(policy with { Rules = [Rule(SeccompAction.Notify, "mkdir")] }, null).HasListener);
    }

    [Fact]
    public void ContradictionsAreRefused()
    {
        Assert.Throws<HullException>(() => SeccompFilter.Get(new SeccompPolicy { DefaultAction = SeccompAction.Notify }, null));
        Assert.Throws<HullException>(() => SeccompFilter.Get(Deny(Rule(SeccompAction.Notify, "write")), null));
        Assert.Throws<HullException>(() => SeccompFilter.Get(Deny() with { Architectures = ["SCMP_ARCH_Z80"] }, null));
        Assert.Throws<HullException>(() => SeccompFilter.Get(Deny() with { Flags = ["X"] }, null));
        Assert.Throws<HullException>(() => SeccompFilter.Get(Deny() with { DefaultErrno = 70000 }, null));
    }

    [Fact]
    public void TheCacheAnswersTheSameAndDistrustsWhatIsDamaged()
    {
        using var directory = new TemporaryDirectory("hull-seccomp");
        var policy = Deny(Rule(SeccompAction.Allow, "read")) with { Architectures = ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] };
        var first = SeccompFilter.Get(policy, directory["cache"]);
        var file = Directory.GetFiles(directory["cache"]).Single();
        Assert.Equal(first.Instructions, SeccompFilter.Get(policy, directory["cache"]).Instructions);

        // A program that is taken from the cache unseen would now allow everything.
        var content = File.ReadAllBytes(file);
        File.WriteAllBytes(file, content[..^8]);
        Assert.Equal(first.Instructions, SeccompFilter.Get(policy, directory["cache"]).Instructions);
        File.SetUnixFileMode(file, (UnixFileMode)0x1B6);
        content[^8] ^= 0xff;
        File.WriteAllBytes(file, content);
        Assert.Equal(first.Instructions, SeccompFilter.Get(policy, directory["cache"]).Instructions);
    }

    /// <summary>As much of the classic BPF machine as seccomp filters use.</summary>
    private static class FilterMachine
    {
        internal static uint Run(SeccompProgram program, int call, ulong argument = 0)
        {
            var data = new byte[64];
            BinaryPrimitives.WriteInt32LittleEndian(data, call);
            BinaryPrimitives.WriteUInt32LittleEndian(data.AsSpan(4), ArchX86On64);
            BinaryPrimitives.WriteUInt64LittleEndian(data.AsSpan(16), argument);
            uint accumulator = 0;
            for (var counter = 0; ; counter++)
            {
                var instruction = program.Instructions.AsSpan(counter * 8, 8);
                var constant = BinaryPrimitives.ReadUInt32LittleEndian(instruction[4..]);
                var (ifTrue, ifFalse) = (instruction[2], instruction[3]);
                switch (BinaryPrimitives.ReadUInt16LittleEndian(instruction))
                {
                    case 0x20: accumulator = BinaryPrimitives.ReadUInt32LittleEndian(data.AsSpan((int)constant)); break;
                    case 0x05: counter += (int)constant; break;
                    case 0x15: counter += accumulator == constant ? ifTrue : ifFalse; break;
                    case 0x25: counter += accumulator > constant ? ifTrue : ifFalse; break;
                    case 0x35: counter += accumulator >= constant ? ifTrue : ifFalse; break;
                    case 0x54: accumulator &= constant; break;
                    case 0x06: return constant;
                    case var operation: throw new InvalidOperationException($"instruction {operation:x}");
                }
            }
        }
    }
}
