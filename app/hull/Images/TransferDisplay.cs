using System.Text;
using Hull.Client.Formatting;
using Hull.Cli.Verbs;
using Hull.Images.Transfer;

namespace Hull.Cli.Images;

/// <summary>Shows how a transfer goes: a bar per layer on a terminal, elsewhere a line when something begins or ends.</summary>
internal abstract class TransferDisplay : IProgress<TransferProgress>, IDisposable
{
    /// <summary>The display for standard error; null says nothing.</summary>
    public static TransferDisplay For(string? title) =>
        title is null ? new Silence() : Console.IsErrorRedirected || Environment.GetEnvironmentVariable("TERM") == "dumb" ? new Lines() : new Bars();

    public abstract void Report(TransferProgress value);

    public virtual void Dispose()
    {
    }

    private static string Words(TransferProgress step) => step.Phase switch
    {
        TransferPhase.Resolving => "Resolving",
        TransferPhase.Waiting => "Waiting",
        TransferPhase.Downloading => "Downloading",
        TransferPhase.Unpacking => "Unpacking",
        TransferPhase.Uploading => "Uploading",
        TransferPhase.Exists => "Already exists",
        TransferPhase.Retrying => "Retrying",
        _ => "Done",
    };

    private sealed class Silence : TransferDisplay
    {
        public override void Report(TransferProgress value)
        {
        }
    }

    /// <summary>For logs: every piece of content twice at most, and what is tried again.</summary>
    private sealed class Lines : TransferDisplay
    {
        private readonly Lock _gate = new();
        private readonly Dictionary<string, TransferPhase> _last = [];

        public override void Report(TransferProgress value)
        {
            lock (_gate)
            {
                if (value.Phase is TransferPhase.Waiting || (_last.TryGetValue(value.Id, out var before) && before == value.Phase)) return;
                _last[value.Id] = value.Phase;
                var size = value.Total > 0 ? " " + HumanText.Size(value.Total) : "";
                Terminal.Error.WriteLine($"{value.Id}: {Words(value)}{size}{(value.Detail is null ? "" : ": " + value.Detail)}");
            }
        }
    }

    /// <summary>One line per piece of content, drawn over each other some ten times a second.</summary>
    private sealed class Bars : TransferDisplay
    {
        private const int BarWidth = 30;
        private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(80);

        private readonly Lock _gate = new();
        private readonly List<string> _order = [];
        private readonly Dictionary<string, TransferProgress> _steps = [];
        private readonly Timer _timer;
        private int _drawn;
        private bool _changed;

        public Bars() => _timer = new Timer(_ => Draw(), null, Interval, Interval);

        public override void Report(TransferProgress value)
        {
            lock (_gate)
            {
                if (!_steps.ContainsKey(value.Id)) _order.Add(value.Id);
                _steps[value.Id] = value;
                _changed = true;
            }
        }

        public override void Dispose()
        {
            _timer.Dispose();
            Draw();
        }

        private void Draw()
        {
            lock (_gate)
            {
                if (!_changed) return;
                _changed = false;
                var height = Height();
                // Only as many lines as fit: what scrolled out of sight cannot be drawn over.
                var shown = _order.Count <= height ? _order : [.. _order.Where(id => _steps[id].Phase is not (TransferPhase.Done or TransferPhase.Exists)).TakeLast(height)];
                var text = new StringBuilder();
                if (_drawn > 0) text.Append($"\e[{_drawn}A");
                foreach (var id in shown) text.Append("\e[2K").Append(Line(_steps[id])).Append('\n');
                for (var i = shown.Count; i < _drawn; i++) text.Append("\e[2K\n");
                if (_drawn > shown.Count) text.Append($"\e[{_drawn - shown.Count}A");
                _drawn = shown.Count;
                Terminal.Error.Write(text.ToString());
            }
        }

        private static string Line(TransferProgress step)
        {
            var line = new StringBuilder(step.Id).Append(": ").Append(Words(step).PadRight(12));
            if (step.Total > 0 && step.Phase is TransferPhase.Downloading or TransferPhase.Unpacking or TransferPhase.Uploading)
            {
                var filled = (int)(BarWidth * Math.Min(1.0, step.Total > 0 ? (double)step.Current / step.Total : 0));
                line.Append('[').Append('=', filled).Append(filled < BarWidth ? ">" : "").Append(' ', Math.Max(0, BarWidth - filled - 1)).Append("] ");
                line.Append(HumanText.Size(step.Current)).Append('/').Append(HumanText.Size(step.Total));
            }
            else if (step.Detail is { } detail)
            {
                line.Append(detail);
            }

            var width = Math.Max(20, Terminal.Width - 1);
            return line.Length <= width ? line.ToString() : line.ToString(0, width);
        }

        private static int Height()
        {
            try
            {
                return Math.Max(1, Console.WindowHeight - 2);
            }
            catch (IOException)
            {
                return 20;
            }
        }
    }
}
