using Hull.Agent.Protocol;
using Hull.Core;

namespace Hull.Agent.Guest;

/// <summary>Gives the guest's network devices their names, addresses and routes, as the host decided them.</summary>
internal static class GuestNetwork
{
    public static void Configure(NetworkSetup setup)
    {
        if (setup.Interfaces.Count > 0) throw HullException.Unsupported("this agent cannot configure network devices");
    }
}
