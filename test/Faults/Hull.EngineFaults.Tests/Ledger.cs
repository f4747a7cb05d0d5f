using System.Globalization;
using System.Text.Json.Nodes;
using Hull.Testing;

namespace Hull.EngineFaults.Tests;

/// <summary>
/// What is owed for one workload. It prints numbers from 0 on, notes each in a file after printing it, and ends with a code
/// of its own. So every line that must be in the log, and the exit code, are known without asking the engine.
/// </summary>
/// <param name="Name">Name it was made with; it may be renamed.</param>
/// <param name="Spared">Nobody kills it or its shim: it must run to its end whatever else dies.</param>
internal sealed record Ledger(string Id, string Name, int Lines, int Code, bool Spared)
{
    /// <summary>Something deadly was sent to it or to its shim.</summary>
    public bool Killed { get; set; }

    public bool ShimKilled { get; set; }

    public static JsonObject Request(string marks, string name, int lines, int code, string policy) => new()
    {
        ["Image"] = "busybox",
        ["Cmd"] = new JsonArray("sh", "-c", $"i=0; while [ $i -lt {lines} ]; do echo $i; echo $i > /mark/{name}; i=$((i+1)); sleep 0.02; done; exit {code}"),
        ["Labels"] = new JsonObject { ["soak"] = "1" },
        ["HostConfig"] = new JsonObject
        {
            ["Binds"] = new JsonArray($"{marks}:/mark"),
            ["RestartPolicy"] = new JsonObject { ["Name"] = policy },
        },
    };

    /// <summary>Fails the test where a line or the exit code is lost.</summary>
    public async Task CheckAsync(EngineDaemon engine, string marks, string seed)
    {
        var state = (await engine.GetAsync($"/containers/{Id}/json")).Json["State"]!;
        var status = (string)state["Status"]!;
        if (status == "created") return;
        var runs = Runs(await LogAsync(engine), seed);
        var noted = File.Exists(Path.Combine(marks, Name)) && int.TryParse(File.ReadAllText(Path.Combine(marks, Name)), NumberStyles.None, CultureInfo.InvariantCulture, out var last) ? last : -1;
        var logged = runs.Count == 0 ? -1 : runs[^1] - 1;
        // What a killed shim had not read from the pipe went with it and its instance.
        if (!ShimKilled) Assert.True(logged >= noted, $"{seed}: {Name} printed {noted}, its log ends with {logged}");
        if (status != "exited") return;
        var code = (int)state["ExitCode"]!;
        if (!Killed)
        {
            Assert.True(code == Code, $"{seed}: {Name} ended with {Code}, the engine says {code}: {state["Error"]}");
            Assert.True(logged == Lines - 1, $"{seed}: {Name} printed {Lines} lines, its log ends with {logged}");
        }
        else Assert.True(code == Code || code == 137 || (string)state["Error"]! is { Length: > 0 }, $"{seed}: {Name} has exit code {code} without a reason");
    }

    private async Task<string> LogAsync(EngineDaemon engine) => (await engine.GetAsync($"/containers/{Id}/logs?stdout=1&stderr=1")).Ok().Text;

    /// <summary>Lines of each run: numbers count up from 0, and a run begins with 0 again. Frame headers are 8 bytes before each line.</summary>
    private List<int> Runs(string log, string seed)
    {
        var runs = new List<int>();
        foreach (var line in log.Split('\n'))
        {
            var digits = new string([.. line.SkipWhile(c => !char.IsAsciiDigit(c))]);
            if (digits.Length == 0) continue;
            // The last byte of a header is the line's length, which may look like a digit: the text is what follows eight bytes.
            var number = int.Parse(line.Length > 8 && line[0] < ' ' ? line[8..] : digits, CultureInfo.InvariantCulture);
            if (number == 0) runs.Add(1);
            else
            {
                Assert.True(runs.Count > 0 && runs[^1] == number, $"{seed}: the log of {Name} has {number} after {(runs.Count == 0 ? "nothing" : runs[^1] - 1)}");
                runs[^1]++;
            }
        }

        return runs;
    }
}
