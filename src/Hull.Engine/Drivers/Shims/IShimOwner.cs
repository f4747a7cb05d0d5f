using Hull.Linux.Processes;

namespace Hull.Engine.Drivers.Shims;

/// <summary>What an instance under a shim needs of its driver.</summary>
internal interface IShimOwner
{
    TimeProvider Clock { get; }

    /// <summary>The engine ends: broken connections mean nothing any more.</summary>
    bool Stopping { get; }

    /// <summary>User code of an instance runs: there is time to prepare for the next.</summary>
    void OnStarted();

    /// <summary>Ends what a killed shim left and answers the record of its end.</summary>
    Task<ExitRecord> EndOrphanAsync(InstanceSpec spec, DateTimeOffset? startedAt);

    /// <summary>Takes back what an instance had; the shim, if it still runs, is killed.</summary>
    Task TakeBackAsync(InstanceSpec spec, ChildProcess? shim);
}
