using Hull.Core;
using Hull.Engine.Drivers.Container;
using Hull.Linux.Cgroups;

namespace Hull.Engine.Drivers.Shims;

/// <summary>Finds instances again after the engine was restarted; the same for every driver with shims.</summary>
internal static class ShimReconnection
{
    /// <summary>See <see cref="IInstanceDriver.ReconnectAsync"/>.</summary>
    public static async Task<IInstance?> ReconnectAsync(IShimOwner owner, ContainerInstance instance, InstanceSpec spec, ICgroup cgroup,
        CancellationToken cancellationToken)
    {
        if (ShimConnection.TryOpen(spec.RuntimeDirectory) is { } socket)
        {
            try
            {
                instance.Connect(socket);
                if (await instance.ResumeSupervisionAsync(cancellationToken).ConfigureAwait(false))
                {
                    if (ExitRecord.TryRead(spec) is { } ended) instance.CompleteFrom(ended);
                    return instance;
                }
            }
            catch (HullException error) when (error.Kind == ErrorKind.Unavailable)
            {
                // It ended between the two; its record is there now, as below.
            }
        }

        if (ExitRecord.TryRead(spec) is { } record)
        {
            instance.CompleteFrom(record);
            return instance;
        }

        if (!Directory.Exists(spec.RuntimeDirectory) && !cgroup.Exists) return null;
        instance.CompleteFrom(await owner.EndOrphanAsync(spec, null).ConfigureAwait(false));
        return instance;
    }

    /// <summary>Records that an instance was lost with its supervisor, unless the shim had recorded an end before it died.</summary>
    public static ExitRecord RecordLoss(InstanceSpec spec, DateTimeOffset? startedAt, TimeProvider clock)
    {
        if (ExitRecord.TryRead(spec) is { } known) return known;
        var record = new ExitRecord(ExitRecord.SupervisorLost, UnixTime.FromTime(clock.GetUtcNow()),
            startedAt is { } at ? UnixTime.FromTime(at) : 0, false, "its supervisor was killed, and the instance with it");
        if (Directory.Exists(spec.StateDirectory)) record.Write(spec.StateDirectory);
        return record;
    }
}
