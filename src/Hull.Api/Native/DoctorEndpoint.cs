using Hull.Api.Http;
using Hull.Engine.Diagnosis;
using Hull.Protocol;

namespace Hull.Api.Native;

/// <summary><c>GET /hull/v1/doctor</c>: what is amiss on the machine and what to do about it; <c>?leaks=1</c> for leaks alone.</summary>
public sealed class DoctorEndpoint
{
    private readonly ApiServices services;

    internal DoctorEndpoint(ApiServices services) => this.services = services;

    internal void Map(Router router) => router.Get("hull/v1/doctor", AnswerAsync);

    /// <summary>Findings in the words of the wire.</summary>
    public static DoctorAnswer ToAnswer(IEnumerable<Finding> findings) => new()
    {
        Findings = [.. findings.Select(finding => new DoctorFinding
        {
            Area = finding.Area,
            Level = finding.Level.ToString().ToLowerInvariant(),
            Message = finding.Message,
            Remedy = finding.Remedy,
        })],
    };

    private async Task AnswerAsync(ApiRequest request)
    {
        var snapshots = services.Images.Snapshotter;
        var findings = request.Flag("leaks")
            ? await EngineDiagnosis.LeaksAsync(services.Engine, snapshots, request.Disconnected).ConfigureAwait(false)
            : await EngineDiagnosis.RunAsync(services.Engine, snapshots, request.Disconnected).ConfigureAwait(false);
        await request.WriteJsonAsync(ToAnswer(findings), DockerJson.Wire.DoctorAnswer).ConfigureAwait(false);
    }
}
