// Times what a container's start asks of the network: sandbox, veth, address, route, published port, files, state; and
// the way back. Runs in the network namespace of its caller; bench/network.sh gives it one of its own.
// Usage: Hull.NetworkBench DIRECTORY COUNT [ready sandboxes]
using System.Diagnostics;
using Hull.Network;

var (directory, count) = (args[0], int.Parse(args[1]));
await using var manager = await NetworkManager.OpenAsync(new NetworkManagerOptions
{
    StateDirectory = Path.Combine(directory, "state"),
    RuntimeDirectory = Path.Combine(directory, "run"),
    ReadySandboxes = args.Length > 2 ? int.Parse(args[2]) : 2,
});
await manager.CreateNetworkAsync(new NetworkSpec { Name = "bench" });
var up = new List<double>();
var down = new List<double>();
for (var i = -3; i < count; i++)
{
    var id = Hull.Core.RandomId.New();
    var start = Stopwatch.GetTimestamp();
    await manager.SetUpAsync(new InstanceNetworkSpec
    {
        InstanceId = id,
        Name = "bench" + i,
        Endpoints = [new EndpointSpec { Network = "bench" }],
        Ports = [new PortMapping(80)],
        FilesDirectory = Path.Combine(directory, id),
    });
    var middle = Stopwatch.GetTimestamp();
    await Task.Delay(40);
    var last = Stopwatch.GetTimestamp();
    await manager.TearDownAsync(id);
    if (i < 0) continue;
    up.Add(Stopwatch.GetElapsedTime(start, middle).TotalMilliseconds);
    down.Add(Stopwatch.GetElapsedTime(last).TotalMilliseconds);
}

await Throughput.RunAsync(manager, Math.Clamp(count / 10, 3, 15));
await manager.RemoveNetworkAsync("bench");
up.Sort();
down.Sort();
Console.WriteLine($"set up    median {up[count / 2]:f2} ms  best {up[0]:f2} ms  worst {up[^1]:f2} ms");
Console.WriteLine($"tear down median {down[count / 2]:f2} ms  best {down[0]:f2} ms  worst {down[^1]:f2} ms");
