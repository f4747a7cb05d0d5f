using System.Text.Json.Serialization;
using Hull.Core;
using Hull.Linux.Files;
using Hull.Shim.Protocol;

namespace Hull.Engine.Drivers.Shims;

/// <summary>What a shim leaves on disk when its instance has ended.</summary>
/// <param name="Code">Exit code, or 128 plus the signal.</param>
/// <param name="At">Nanoseconds since 1970.</param>
/// <param name="StartedAt">Nanoseconds since 1970; 0 when user code never ran.</param>
public sealed record ExitRecord(int Code, long At, long StartedAt, bool OutOfMemory, string? Reason = null)
{
    /// <summary>Code of an instance whose supervisor was killed: it was killed with it.</summary>
    public const int SupervisorLost = 137;

    /// <summary>
    /// The record in an instance's state directory, or, where that was full, in its runtime directory; null when there is
    /// none that can be read.
    /// </summary>
    public static ExitRecord? TryRead(InstanceSpec spec) => TryRead(spec.StateDirectory) ?? TryRead(spec.RuntimeDirectory);

    private static ExitRecord? TryRead(string stateDirectory)
    {
        try
        {
            return AtomicFile.TryReadJson(Path.Combine(stateDirectory, Wire.ExitRecordName), ShimJson.Default.ExitRecord);
        }
        catch (HullException error) when (error.Kind == ErrorKind.DataCorrupted)
        {
            return null;
        }
    }

    public void Write(string stateDirectory) =>
        AtomicFile.WriteJson(Path.Combine(stateDirectory, Wire.ExitRecordName), this, ShimJson.Default.ExitRecord, durable: false);

    /// <summary>Removes the record of an earlier run.</summary>
    public static void Delete(string stateDirectory) => AtomicFile.Delete(Path.Combine(stateDirectory, Wire.ExitRecordName));

    public ExitStatus ToStatus() => new(Code, UnixTime.ToTime(At), OutOfMemory, Reason);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ExitRecord))]
internal sealed partial class ShimJson : JsonSerializerContext;
