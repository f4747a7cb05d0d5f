using System.Globalization;
using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Protocol;

namespace Hull.Api.Docker.Containers;

/// <summary>
/// Group, reservation and priority for clients that have no option for them: labels of the request. Those of an image are no
/// request of anybody's, and are not looked at.
/// </summary>
internal static class ResourceLabels
{
    public const string Prefix = "hull.";
    public const string GroupLabel = "hull.group";
    private const string ReservationLabel = "hull.cpu-reservation";
    private const string PriorityLabel = "hull.priority";

    /// <summary>Whether a label asks for resources.</summary>
    public static bool Asks(string label) => label is GroupLabel or ReservationLabel or PriorityLabel;

    public static string? Group(ContainerCreateRequest request, HostConfig host) => CreateMapping.NullIfEmpty(host.Group) ?? Value(request, GroupLabel);

    public static ResourceLimits Limits(ContainerCreateRequest request, HostConfig host)
    {
        var limits = ResourceMapping.ToLimits(host);
        if (limits.CpuReservation is null && Value(request, ReservationLabel) is { } reservation)
        {
            limits = decimal.TryParse(reservation, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var processors)
                ? limits with { CpuReservation = (long)(processors * 1_000_000_000) }
                : throw HullException.Invalid($"label {ReservationLabel} is '{reservation}': expected a number of processors such as 0.5");
        }

        if (limits.Priority is null && Value(request, PriorityLabel) is { } priority)
        {
            limits = int.TryParse(priority, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                ? limits with { Priority = number }
                : throw HullException.Invalid($"label {PriorityLabel} is '{priority}': expected a number from 0 to 100");
        }

        return limits;
    }

    private static string? Value(ContainerCreateRequest request, string label) => CreateMapping.NullIfEmpty((request.Labels ?? []).GetValueOrDefault(label));
}
