using Hull.Testing;

namespace Hull.EngineClients.Tests;

/// <summary><c>--mount type=image</c> of the docker CLI: the files of one image in a container of another.</summary>
public sealed class ImageMountTests(Engine engine) : IDisposable
{
    private readonly TemporaryDirectory scratch = new("imagemount");

    private static readonly Lazy<bool> s_dockerMountsImages = new(() =>
        int.TryParse(Command.Run(Engine.Client, "version", "--format", "{{.Client.Version}}").Output.Split('.')[0], out var release) && release >= 28);

    [Fact]
    public void AnImageIsMountedReadOnlyWholeOrInPart()
    {
        Make("content", "mkdir -p dir/inner && echo text > dir/inner/file && echo top > top && chown 5:6 top");
        Make("second", "echo other > other");
        Run("commit", "--change", "LABEL of=others", Id("base", "content", "/dir/added"), "layered");
        Assert.Equal("text top 5:6", Inside("type=image,source=content,target=/m/x", "echo $(cat /m/x/dir/inner/file /m/x/top) $(stat -c %u:%g /m/x/top)"));
        Assert.Equal("text", Inside("type=image,source=layered,target=/m,image-subpath=dir/inner", "cat /m/file"));
        Assert.Equal("top", Inside("type=image,source=content,target=/etc/top,image-subpath=top", "cat /etc/top"));
        Assert.Equal("denied", Inside("type=image,source=layered,target=/m", "touch /m/x 2>/dev/null || echo denied"));
        Assert.Equal("other root", Run("run", "--rm", "--read-only", "--mount", "type=image,source=content,target=/bin/../m", "--mount", "type=image,source=second,target=/o",
            "-v", "/o2", "busybox", "sh", "-c", "cat /o/other && id -un").ReplaceLineEndings(" "));

        // The image stays as long as a container mounts it, runs or not.
        Run("run", "-d", "--name", "mounter", "--mount", "type=image,source=content,target=/m", "busybox", "sleep", "1000");
        Assert.Contains("cannot be forced", Fail("rmi", "-f", "content"));
        Assert.Equal("image content /m false", Run("inspect", "--format", "{{range .Mounts}}{{.Type}} {{.Source}} {{.Destination}} {{.RW}}{{end}}", "mounter"));
        Assert.Equal("top", Run("exec", "mounter", "cat", "/m/top"));
        Assert.Contains("top", engine.Run("/bin/sh", null, "-c", $"{Engine.Client} cp mounter:/m - | tar -t").Ok().Output);
        Assert.DoesNotContain("/m", Run("diff", "mounter"));
        Run("stop", "-t", "0", "mounter");
        Assert.Contains("in use", Fail("rmi", "content").Replace("is using", "in use", StringComparison.Ordinal));
        Run("image", "prune", "-af", "--filter", "label=of=mounts");
        Assert.Contains("No such image", Fail("image", "inspect", "second"));
        Assert.Contains("top", engine.Run("/bin/sh", null, "-c", $"{Engine.Client} cp mounter:/m - | tar -t").Ok().Output);
        Run("start", "mounter");
        Assert.Equal("top", Run("exec", "mounter", "cat", "/m/top"));
        Assert.Equal("top", Run("run", "--rm", "--volumes-from", "mounter", "busybox", "cat", "/m/top"));
        Run("rm", "-f", "mounter");
        Run("rm", "base");
        Run("rmi", "content", "layered");
    }

    [Fact]
    public void WhatCannotBeMountedIsRefusedWithTheReason()
    {
        Make("part", "echo text > file");
        Assert.Contains("no image nowhere", Fail("create", "--mount", "type=image,source=nowhere,target=/m", "busybox", "true"));
        Assert.Contains("has no dir", Fail("run", "--rm", "--mount", "type=image,source=part,target=/m,image-subpath=dir", "busybox", "true"));
        Assert.Contains("subpath", Fail("create", "--mount", "type=image,source=part,target=/m,image-subpath=../x", "busybox", "true"));
        Assert.Contains("inside of the mount at /data", Fail("create", "-v", "vol:/data", "--mount", "type=image,source=part,target=/data/m", "busybox", "true"));
        Assert.Contains("inside of the mount at /proc", Fail("create", "--mount", "type=image,source=part,target=/proc/m", "busybox", "true"));
        Assert.Contains("isolation vm", engine.Run(Repository.Executable("hull"), null, "create", "--isolation", "vm", "--mount", "type=image,source=part,target=/m", "busybox", "true").Error);
        // Nothing that was refused holds the image.
        Run("rmi", "part");
    }

    public void Dispose() => scratch.Dispose();

    private void Make(string name, string script)
    {
        Command.Shell($"mkdir '{scratch[name]}' && cd '{scratch[name]}' && {script} && tar -cf '{scratch[name]}.tar' .").Ok();
        Run("import", "--change", "LABEL of=mounts", scratch[name] + ".tar", name);
    }

    /// <summary>A stopped container of an image without a program of its own, with one file more.</summary>
    private string Id(string name, string image, string path)
    {
        var id = Run("create", "--name", name, image, "none");
        File.WriteAllText(scratch["added"], "added");
        Run("cp", scratch["added"], name + ":" + path);
        return id;
    }

    private string Inside(string mount, string script) => Run("run", "--rm", "--mount", mount, "busybox", "sh", "-c", script);

    private string Run(params string[] words) => engine.Docker(Client(words), words).Ok().Trimmed;

    /// <summary>The docker CLI, but for mounts that it learned to name in release 28 only: hull takes the same words.</summary>
    private static string Client(string[] words) =>
        s_dockerMountsImages.Value || !words.Any(word => word.StartsWith("type=image", StringComparison.Ordinal)) ? Engine.Client : Repository.Executable("hull");

    private string Fail(params string[] words)
    {
        var result = engine.Docker(Client(words), words);
        Assert.NotEqual(0, result.ExitCode);
        return result.Error;
    }
}
