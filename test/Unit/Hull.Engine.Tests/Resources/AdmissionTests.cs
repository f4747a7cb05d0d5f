using Hull.Core;
using Hull.Engine.Resources;

namespace Hull.Engine.Tests.Resources;

public sealed class AdmissionTests
{
    private const long Cpu = 1_000_000_000;
    private const long GiB = 1L << 30;

    private readonly Admission _admission = new(new MachineCapacity(4 * Cpu, 8 * GiB));

    [Fact]
    public void Who_reserves_nothing_is_always_let_in()
    {
        _admission.Admit(Of("full", 4 * Cpu, 8 * GiB));
        for (var i = 0; i < 100; i++) _admission.Admit(Of("free" + i, 0, 0));
        Assert.Equal(new Reservation(4 * Cpu, 8 * GiB), _admission.Total());
    }

    [Fact]
    public void What_is_kept_is_not_given_twice()
    {
        _admission.Admit(Of("one", 3 * Cpu, 2 * GiB));
        var refused = Refused(() => _admission.Admit(Of("two", 2 * Cpu, GiB)));
        Assert.Equal("cannot reserve 2 processors for two: the machine has 4 to give, of which 1 is free (one has 3). " +
            "Stop one of them, reserve less, or set resources.cpu-overcommit of the engine's configuration", refused);
        Assert.Equal(default, _admission.Of("two"));
        Assert.Contains("7168 MiB of memory for three: the machine has 8192 MiB to give, of which 6144 MiB is free (one has 2048 MiB)",
            Refused(() => _admission.Admit(Of("three", Cpu, 7 * GiB))), StringComparison.Ordinal);
        _admission.Release("one");
        _admission.Admit(Of("two", 2 * Cpu, GiB));
    }

    [Fact]
    public void The_last_bit_can_be_had()
    {
        _admission.Admit(Of("one", 3 * Cpu, 7 * GiB));
        _admission.Admit(Of("two", Cpu, GiB));
        Refused(() => _admission.Admit(Of("three", 1, 0)));
        Refused(() => _admission.Admit(Of("three", 0, 1)));
    }

    [Fact]
    public void A_change_replaces_what_was_kept_and_a_refused_one_leaves_it()
    {
        _admission.Admit(Of("one", 2 * Cpu, GiB));
        _admission.Admit(Of("two", Cpu, GiB));
        _admission.Admit(Of("one", 3 * Cpu, GiB));
        Refused(() => _admission.Admit(Of("one", 4 * Cpu, GiB)));
        Assert.Equal(new Reservation(3 * Cpu, GiB), _admission.Of("one"));
        _admission.Admit(Of("one", 0, 0));
        Assert.Equal(new Reservation(Cpu, GiB), _admission.Total());
    }

    /// <summary>What runs when the engine comes up may be more than its settings allow now; that is no reason to refuse less.</summary>
    [Fact]
    public void What_runs_already_is_kept_and_can_be_lowered()
    {
        _admission.Take(Of("old", 6 * Cpu, 0));
        _admission.Admit(Of("old", 5 * Cpu, 0));
        Refused(() => _admission.Admit(Of("new", Cpu, 0)));
        Assert.Equal(5 * Cpu, _admission.Total().NanoCpus);
    }

    [Fact]
    public void A_group_keeps_its_reservation_for_its_members()
    {
        _admission.AdmitGroup(new GroupAllowance("shop", new Reservation(3 * Cpu, 0), default));
        Refused(() => _admission.Admit(Of("stranger", 2 * Cpu, 0)));
        _admission.Admit(Of("web", 2 * Cpu, 0, "shop"));
        Assert.Equal(3 * Cpu, _admission.Total().NanoCpus);
        Assert.Equal("cannot reserve 2 processors for app: group shop has a reservation of 3, of which 1 is free (web has 2). " +
            "Stop one of them, reserve less, or raise the group's by hull group update --cpu-reservation … shop", Refused(() => _admission.Admit(Of("app", 2 * Cpu, 0, "shop"))));
        _admission.Admit(Of("app", Cpu, 0, "shop"));
        Assert.Equal(3 * Cpu, _admission.ReservedIn("shop").NanoCpus);
    }

    /// <summary>The group reserves processors only: memory of its members is the machine's.</summary>
    [Fact]
    public void Processors_and_memory_are_each_for_themselves()
    {
        _admission.AdmitGroup(new GroupAllowance("shop", new Reservation(2 * Cpu, 0), default));
        _admission.Admit(Of("web", Cpu, 6 * GiB, "shop"));
        Assert.Equal(new Reservation(2 * Cpu, 6 * GiB), _admission.Total());
        Assert.Contains("(web has 6144 MiB)", Refused(() => _admission.Admit(Of("other", 0, 3 * GiB))), StringComparison.Ordinal);
    }

    [Fact]
    public void Members_of_a_group_with_a_limit_reserve_of_the_machine_within_it()
    {
        _admission.AdmitGroup(new GroupAllowance("small", default, new Reservation(0, 2 * GiB)));
        _admission.Admit(Of("one", 0, GiB, "small"));
        Assert.Contains("group small has a limit of 2048 MiB", Refused(() => _admission.Admit(Of("two", 0, 2 * GiB, "small"))), StringComparison.Ordinal);
        _admission.Admit(Of("big", 0, 7 * GiB));
        Assert.Contains("the machine has", Refused(() => _admission.Admit(Of("two", 0, GiB, "small"))), StringComparison.Ordinal);
    }

    [Fact]
    public void A_group_cannot_be_made_less_than_its_members_have_nor_more_than_there_is()
    {
        _admission.AdmitGroup(new GroupAllowance("shop", new Reservation(2 * Cpu, 0), default));
        _admission.Admit(Of("web", 2 * Cpu, 0, "shop"));
        Assert.Contains("web has 2", Refused(() => _admission.AdmitGroup(new GroupAllowance("shop", new Reservation(Cpu, 0), default))), StringComparison.Ordinal);
        Refused(() => _admission.AdmitGroup(new GroupAllowance("shop", new Reservation(5 * Cpu, 0), default)));
        Assert.Equal(2 * Cpu, _admission.Total().NanoCpus);
        _admission.Release("web");
        _admission.ReleaseGroup("shop");
        Assert.Equal(default, _admission.Total());
    }

    [Fact]
    public void What_could_never_be_had_is_told_from_what_cannot_be_had_now()
    {
        _admission.Admit(Of("one", 4 * Cpu, 0));
        _admission.CheckPossible(Of("two", 4 * Cpu, 0));
        Refused(() => _admission.CheckPossible(Of("two", 5 * Cpu, 0)));
        _admission.AdmitGroup(new GroupAllowance("small", default, new Reservation(Cpu, 0)));
        Refused(() => _admission.CheckPossible(Of("three", 2 * Cpu, 0, "small")));
    }

    [Fact]
    public void Two_at_once_never_get_the_same()
    {
        var admitted = 0;
        Parallel.For(0, 64, i =>
        {
            try
            {
                _admission.Admit(Of("one" + i, Cpu, 0));
                Interlocked.Increment(ref admitted);
            }
            catch (HullException)
            {
                // Only four of them have room.
            }
        });
        Assert.Equal(4, admitted);
    }

    [Theory]
    [InlineData(0, 256, 1, 1, 2000, 7936)]
    [InlineData(0.5, 1024, 1, 1, 1500, 7168)]
    [InlineData(0.5, 0, 2, 1.5, 3000, 12288)]
    [InlineData(3, 10000, 1, 1, 0, 0)]
    public void Capacity_is_the_machine_less_the_hosts_share_times_what_may_be_overcommitted(
        double hostCpus, long hostMebibytes, double cpu, double memory, long milliCpus, long mebibytes)
    {
        var options = new ResourceOptions { HostNanoCpus = (long)(hostCpus * Cpu), HostMemory = hostMebibytes << 20, CpuOvercommit = cpu, MemoryOvercommit = memory };
        Assert.Equal(new MachineCapacity(milliCpus * 1_000_000, mebibytes << 20), MachineCapacity.Of(options, 2, 8UL << 30));
    }

    private static Claim Of(string name, long nanoCpus, long memory, string? group = null) => new(name, name, group, new Reservation(nanoCpus, memory));

    private static string Refused(Action action)
    {
        var error = Assert.Throws<HullException>(action);
        Assert.Equal(ErrorKind.ResourceExhausted, error.Kind);
        return error.Message;
    }
}
