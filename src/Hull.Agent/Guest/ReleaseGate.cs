using Hull.Agent.Protocol;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using Hull.Linux.Virtualization;

namespace Hull.Agent.Guest;

/// <summary>Makes a machine of its own of a clone, before anything of a user runs in it.</summary>
internal static class ReleaseGate
{
    public static void Pass(ReleaseRequest request)
    {
        if (request.Entropy.Length < 32) throw HullException.Invalid("the release needs at least 32 bytes of entropy");
        using (var random = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, "/dev/urandom", Fcntl.O_RDWR), $"open /dev/urandom"))
            GuestCalls.Reseed(random, request.Entropy);
        GuestCalls.SetClock(request.UnixNanoseconds);
        GuestCalls.SetHostName(request.HostName);
        MachineId = request.MachineId;
        GuestNetwork.Configure(request.Network);
    }

    /// <summary>The identity containers of this machine see as /etc/machine-id.</summary>
    public static string MachineId { get; private set; } = "";
}
