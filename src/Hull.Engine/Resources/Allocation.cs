using Hull.Engine.Drivers;

namespace Hull.Engine.Resources;

/// <summary>What a running workload gets.</summary>
/// <param name="Group">Null for none.</param>
/// <param name="Priority">Its own, else its group's, else the default.</param>
/// <param name="Limits">As asked for.</param>
/// <param name="Reserved">What is kept for it, of its group's or of the machine's.</param>
/// <param name="Taken">What it had to give because memory was short; null for nothing.</param>
public sealed record Allocation(string Id, string Name, string Isolation, string? Group, int Priority, ResourceLimits Limits, Reservation Reserved, Taken? Taken);
