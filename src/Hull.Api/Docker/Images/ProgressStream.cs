using System.Collections.Concurrent;
using System.Globalization;
using Hull.Api.Http;
using Hull.Core;
using Hull.Images.Transfer;
using Hull.Protocol;

namespace Hull.Api.Docker.Images;

/// <summary>
/// A transfer as the stream of messages that clients draw their bars from. The status is 200 once the first message
/// is out, so failures after that are messages too; a failure before it is an answer of its own.
/// </summary>
internal sealed class ProgressStream(ApiRequest request, ProgressWords? words = null) : IProgress<TransferProgress>
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);
    private readonly ConcurrentDictionary<string, long> lastSent = new(StringComparer.Ordinal);
    private readonly System.Threading.Channels.Channel<ProgressMessage> messages =
        System.Threading.Channels.Channel.CreateBounded<ProgressMessage>(new System.Threading.Channels.BoundedChannelOptions(256)
        {
            FullMode = System.Threading.Channels.BoundedChannelFullMode.DropOldest,
        });

    /// <summary>Runs the transfer and writes what it reports, then its own last messages or its failure.</summary>
    public async Task RunAsync(Func<CancellationToken, Task<IReadOnlyList<ProgressMessage>>> transfer)
    {
        var work = RunAndCloseAsync(transfer);
        await using var lines = new JsonLines(request);
        try
        {
            await foreach (var message in messages.Reader.ReadAllAsync(request.Disconnected).ConfigureAwait(false))
            {
                if (!request.HasStarted) await lines.StartAsync().ConfigureAwait(false);
                await lines.WriteAsync(message, DockerJson.Wire.ProgressMessage).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            // The client left, which ends the transfer too.
        }

        await FinishAsync(work, lines).ConfigureAwait(false);
    }

    public void Report(TransferProgress value)
    {
        if (IsTick(value.Phase) && !IsDue(value)) return;
        if (ToMessage(value) is { } message) messages.Writer.TryWrite(message);
    }

    private async Task<IReadOnlyList<ProgressMessage>> RunAndCloseAsync(Func<CancellationToken, Task<IReadOnlyList<ProgressMessage>>> transfer)
    {
        try
        {
            return await Task.Run(() => transfer(request.Disconnected)).ConfigureAwait(false);
        }
        finally
        {
            messages.Writer.TryComplete();
        }
    }

    private async Task FinishAsync(Task<IReadOnlyList<ProgressMessage>> work, JsonLines lines)
    {
        try
        {
            var last = await work.ConfigureAwait(false);
            if (!request.HasStarted) await lines.StartAsync().ConfigureAwait(false);
            foreach (var message in last) await lines.WriteAsync(message, DockerJson.Wire.ProgressMessage).ConfigureAwait(false);
        }
        catch (HullException e) when (request.HasStarted)
        {
            var text = e.FullMessage;
            await lines.WriteAsync(new ProgressMessage { Error = text, ErrorDetail = new ErrorDetail { Message = text } }, DockerJson.Wire.ProgressMessage).ConfigureAwait(false);
        }
    }

    private static bool IsTick(TransferPhase phase) => phase is TransferPhase.Downloading or TransferPhase.Uploading or TransferPhase.Unpacking;

    /// <summary>Ten times a second is as often as anybody looks.</summary>
    private bool IsDue(TransferProgress value)
    {
        var now = Environment.TickCount64;
        var key = value.Id + (int)value.Phase;
        if (lastSent.TryGetValue(key, out var last) && now - last < Interval.TotalMilliseconds && value.Current < value.Total) return false;
        lastSent[key] = now;
        return true;
    }

    /// <summary>Null for what the last messages say better.</summary>
    private ProgressMessage? ToMessage(TransferProgress value)
    {
        if (value.Id.Contains(':', StringComparison.Ordinal)) return ProgressWords.OfImage(value);
        var tick = IsTick(value.Phase);
        return new ProgressMessage
        {
            Id = value.Id.Length > 0 ? value.Id : null,
            Status = (words ?? ProgressWords.Pull).OfLayer(value),
            ProgressDetail = new ProgressDetail { Current = tick ? value.Current : 0, Total = tick ? value.Total : 0 },
            Progress = tick && value.Total > 0 ? Bar(value.Current, value.Total) : null,
        };
    }

    private static string Bar(long current, long total)
    {
        const int Width = 50;
        var full = (int)Math.Clamp(current * Width / total, 0, Width);
        var bar = full == Width ? new string('=', Width) : new string('=', full) + ">" + new string(' ', Width - full - 1);
        return $"[{bar}]  {Size(current)}/{Size(total)}";
    }

    private static string Size(long bytes)
    {
        ReadOnlySpan<string> units = ["B", "kB", "MB", "GB", "TB"];
        double value = bytes;
        var unit = 0;
        while (value >= 1000 && unit < units.Length - 1)
        {
            value /= 1000;
            unit++;
        }

        return value.ToString("G4", CultureInfo.InvariantCulture) + units[unit];
    }
}
