using System.Reflection;
using Hull.Testing;
using Xunit.Sdk;
using Xunit.v3;

namespace Hull.RuntimeContract.Tests;

/// <summary>
/// Runs a case once per runtime: hull-runtime, and runc and crun as a check of the test itself. A deviation of one of those
/// is named with its reason, and the case then runs without it. HULL_CONTRACT_RUNTIMES limits the list (names by comma).
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RuntimesAttribute : DataAttribute
{
    /// <summary>Why runc is left out of this case.</summary>
    public string? NotRunc { get; init; }

    /// <summary>Why crun is left out of this case.</summary>
    public string? NotCrun { get; init; }

    public override ValueTask<IReadOnlyCollection<ITheoryDataRow>> GetData(MethodInfo testMethod, DisposalTracker disposalTracker)
    {
        var wanted = Environment.GetEnvironmentVariable("HULL_CONTRACT_RUNTIMES")?.Split(',') ?? OciRuntime.All;
        var rows = new List<ITheoryDataRow>();
        foreach (var name in OciRuntime.All)
        {
            var reason = name switch { "runc" => NotRunc, "crun" => NotCrun, _ => null };
            if (reason is null && wanted.Contains(name)) rows.Add(new TheoryDataRow<string>(name));
        }

        // A case that is left to nobody is skipped and not an error of the run.
        if (rows.Count == 0) rows.Add(new TheoryDataRow<string>("none") { Skip = "not for the chosen runtimes" });
        return new ValueTask<IReadOnlyCollection<ITheoryDataRow>>(rows);
    }

    public override bool SupportsDiscoveryEnumeration() => true;
}
