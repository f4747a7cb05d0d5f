using System.Diagnostics;
using System.Text.Json.Nodes;
using Hull.Testing;

namespace Hull.RuntimeContract.Tests;

/// <summary>
/// One container of one runtime with a bundle, a state directory and a cgroup of its own. Disposing deletes it by force and
/// then checks that nothing of it is left anywhere.
/// </summary>
public sealed class Container : IDisposable
{
    private readonly TemporaryDirectory _directory = new("hull-rt");
    private int _outputs;

    public Container(string runtime)
    {
        Runtime = OciRuntime.Find(runtime);
        Id = "c" + Guid.NewGuid().ToString("N")[..12];
        Bundle = _directory["bundle"];
        StateRoot = _directory["state"];
        Directory.CreateDirectory(Bundle);
        RootfsPath = Path.Combine(Bundle, "rootfs");
        Hull.RuntimeContract.Tests.Rootfs.CopyTo(RootfsPath);
        Spec.Text("linux.cgroupsPath", CgroupsPath);
    }

    public OciRuntime Runtime { get; }

    public string Id { get; }

    public string Bundle { get; }

    public string RootfsPath { get; }

    public string StateRoot { get; }

    public string CgroupsPath => $"{ControlGroups.Parent}/{Id}";

    public SpecDocument Spec { get; } = new();

    /// <summary>Files of the test beside the bundle.</summary>
    public string Outside(string name) => _directory[name];

    /// <summary>A directory beside the bundle.</summary>
    public string MakeOutside(string name) => Directory.CreateDirectory(_directory[name]).FullName;

    public string InRootfs(string path) => Path.Combine(RootfsPath, path.TrimStart('/'));

    /// <summary>Writes config.json; <see cref="Run"/> and <see cref="Create"/> do so themselves.</summary>
    public void WriteSpec() => File.WriteAllText(Path.Combine(Bundle, "config.json"), Spec.ToString());

    /// <summary>Calls the runtime with its root and the arguments. Its output goes to files, so that what lives on holds no pipe.</summary>
    public CommandResult Call(params string[] arguments) => CallIn(null, arguments);

    public CommandResult CallIn(string? directory, params string[] arguments)
    {
        var number = Interlocked.Increment(ref _outputs);
        var (output, error) = (_directory[$"out{number}"], _directory[$"err{number}"]);
        var watch = Stopwatch.StartNew();
        var result = Command.Run("/bin/sh",
            ["-c", $"\"$@\" </dev/null >{output} 2>{error}", "sh", Runtime.Path, "--root", StateRoot, .. arguments], null,
            TimeSpan.FromSeconds(60), directory: directory);
        return result with { Output = File.ReadAllText(output), Error = File.ReadAllText(error), Elapsed = watch.Elapsed };
    }

    /// <summary>Runs the container to its end in the foreground.</summary>
    public CommandResult Run(params string[] options)
    {
        WriteSpec();
        return Call(["run", .. options, "--bundle", Bundle, Id]);
    }

    /// <summary>Runs a script as the container's program; answers what it printed.</summary>
    public string RunScript(string script)
    {
        Spec.Script(script);
        return Run().Ok().Trimmed;
    }

    public CommandResult Create(params string[] options)
    {
        WriteSpec();
        OutputFile = _directory[$"out{_outputs + 1}"];
        return Call(["create", .. options, "--bundle", Bundle, Id]);
    }

    /// <summary>What a created container's program printed so far.</summary>
    public string Output => File.ReadAllText(OutputFile!).Trim();

    private string? OutputFile { get; set; }

    public CommandResult Start() => Call("start", Id);

    /// <summary>Creates and starts with a program that stays.</summary>
    public Container StartSleeping()
    {
        Spec.Args("sleep", "1000");
        Create().Ok();
        Start().Ok();
        return this;
    }

    public CommandResult Exec(params string[] arguments) => Call(["exec", Id, .. arguments]);

    public string ExecScript(string script) => Exec("sh", "-c", script).Ok().Trimmed;

    public JsonObject State() => JsonNode.Parse(Call("state", Id).Ok().Output)!.AsObject();

    public string Status() => (string)State()["status"]!;

    public int Pid => (int)State()["pid"]!;

    public Container WaitFor(string status)
    {
        for (var i = 0; i < 1000; i++)
        {
            if (Status() == status) return this;
            Thread.Sleep(10);
        }

        throw new TimeoutException($"{Id} is {Status()} and not {status}");
    }

    public CommandResult Kill(string signal = "KILL") => Call("kill", Id, signal);

    public CommandResult Delete(params string[] options) => Call(["delete", .. options, Id]);

    public string Cgroup(string controller, string v1, string v2) => ControlGroups.Read(CgroupsPath, controller, v1, v2);

    public void Dispose()
    {
        try
        {
            Delete("--force");
            AssertNothingIsLeft();
        }
        finally
        {
            _directory.Dispose();
        }
    }

    /// <summary>No state, cgroup, mount or process of this container.</summary>
    public void AssertNothingIsLeft()
    {
        if (Directory.Exists(Path.Combine(StateRoot, Id))) Assert.Fail($"{Runtime.Name} left the state directory of {Id}");
        var cgroups = ControlGroups.Existing(CgroupsPath).ToArray();
        if (cgroups.Length > 0) Assert.Fail($"{Runtime.Name} left {string.Join(' ', cgroups)}");
        var mounts = File.ReadLines("/proc/self/mountinfo").Where(line => line.Contains(_directory.Path)).ToArray();
        if (mounts.Length > 0) Assert.Fail($"{Runtime.Name} left the mount {mounts[0]}");
        var processes = Processes().ToArray();
        for (var i = 0; i < 100 && processes.Length > 0; i++)
        {
            Thread.Sleep(20);
            processes = Processes().ToArray();
        }

        if (processes.Length > 0) Assert.Fail($"{Runtime.Name} left the process {processes[0]}");
    }

    /// <summary>Command lines of live processes that name this container.</summary>
    private IEnumerable<string> Processes()
    {
        foreach (var directory in Directory.GetDirectories("/proc"))
        {
            if (!char.IsAsciiDigit(Path.GetFileName(directory)[0])) continue;
            string line;
            try
            {
                line = File.ReadAllText(directory + "/cmdline").Replace('\0', ' ');
            }
            catch (IOException)
            {
                continue;
            }

            if (line.Contains(Id) || line.Contains(_directory.Path)) yield return $"{Path.GetFileName(directory)}: {line}";
        }
    }
}
