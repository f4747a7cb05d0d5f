using Hull.Linux.Abi;
using Hull.Linux.Cgroups;

namespace Hull.Agent.Guest;

/// <summary>Wakes the loop when the kernel kills processes of a container for memory.</summary>
internal sealed class OomSource(OomWatch watch, Action happened) : IEventSource, IDisposable
{
    private bool _ended;

    public int Descriptor => watch.Descriptor.Value;

    public short Interest => _ended ? (short)0 : Waiting.POLLIN;

    public void Ready(short events)
    {
        if (watch.Acknowledge()) happened();
        else _ended = !watch.IsAlive;
    }

    public void Dispose() => watch.Dispose();
}
