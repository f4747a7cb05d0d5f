using Hull.Bench;

if (args is ["runtime", var path])
{
    return RuntimeBench.Run(Path.GetFullPath(path), int.Parse(Environment.GetEnvironmentVariable("HULL_BENCH_ROUNDS") ?? "50"));
}

Console.Error.WriteLine("usage: Hull.Bench runtime PATH-OF-HULL-RUNTIME");
return 2;
