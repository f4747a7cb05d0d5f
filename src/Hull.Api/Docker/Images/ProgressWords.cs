using Hull.Core;
using Hull.Images.Transfer;
using Hull.Protocol;

namespace Hull.Api.Docker.Images;

/// <summary>What dockerd says of each step, word for word: clients and scripts look for these.</summary>
internal sealed class ProgressWords(string waiting, string exists, string done)
{
    public static ProgressWords Pull { get; } = new("Pulling fs layer", "Already exists", "Pull complete");

    public static ProgressWords Push { get; } = new("Preparing", "Layer already exists", "Pushed");

    /// <summary>The transfer of the image as a whole: only its beginning, since its end has messages of its own.</summary>
    public static ProgressMessage? OfImage(TransferProgress value) => value.Phase == TransferPhase.Resolving && ImageReference.Parse(value.Id) is var reference
        ? new ProgressMessage { Status = "Pulling from " + reference.Path, Id = reference.ManifestName }
        : null;

    public string OfLayer(TransferProgress value) => value.Phase switch
    {
        TransferPhase.Waiting => waiting,
        TransferPhase.Downloading => "Downloading",
        TransferPhase.Unpacking => "Extracting",
        TransferPhase.Uploading => "Pushing",
        TransferPhase.Exists => exists,
        TransferPhase.Retrying => "Retrying" + (value.Detail is null ? "" : ": " + value.Detail),
        _ => value.Detail ?? done,
    };
}
