using Hull.Cli.Containers;
using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Protocol;

namespace Hull.Cli.Files;

/// <summary><c>hull cp</c>: files between this machine and a container, running or not, as cp(1) would.</summary>
internal sealed class CopyVerb : Verb
{
    private const string ArchiveType = "application/x-tar";
    private bool keepOwners;
    private bool follow;
    private bool quiet;

    public override string Usage => "cp [options] CONTAINER:SOURCE TARGET|-\n       hull cp [options] SOURCE|- CONTAINER:TARGET";

    public override void Define(FlagSet flags) => flags
        .Switch("archive", 'a', "keep owners", v => keepOwners = v)
        .Switch("follow-link", 'L', "copy what SOURCE links to rather than the link", v => follow = v)
        .Switch("quiet", 'q', "do not say how much was copied", v => quiet = v);

    public override int Run(Invocation call)
    {
        call.Expect(2, 2);
        var (source, target) = (CopyPlace.Parse(call.Arguments[0]), CopyPlace.Parse(call.Arguments[1]));
        var bytes = (source.Container, target.Container) switch
        {
            (not null, null) => CopyOut(call, source, target),
            (null, not null) => CopyIn(call, source, target),
            (null, null) => throw HullException.Invalid("one of the two must be in a container: CONTAINER:PATH"),
            _ => throw HullException.Invalid($"one of the two must be on this machine: hull cp {source} - | hull cp - {target}"),
        };
        if (!quiet && bytes is { } count && !Console.IsErrorRedirected) call.Error.WriteLine($"{ByteSize.Decimal(count)} copied to {Table.Clean(target.ToString())}");
        return 0;
    }

    private long? CopyOut(Invocation call, CopyPlace source, CopyPlace target)
    {
        if (target.IsStream && Terminal.IsInteractive) throw HullException.Invalid("an archive does not belong on a terminal: name a file or use a pipe");
        var stat = source.Stat(call.Engine, follow || source.MeansDirectory, out var path) ?? throw HullException.NotFound($"{source} does not exist");
        if (source.MeansDirectory && !CopyPlace.IsDirectory(stat)) throw HullException.Invalid($"{source} is not a directory");
        var place = target.IsStream ? "" : LocalTarget(source, CopyPlace.IsDirectory(stat), target);
        using var answer = call.Engine.Send("GET", source.ArchiveQuery(path));
        if (target.IsStream)
        {
            using var output = Console.OpenStandardOutput();
            answer.Content.CopyTo(output);
            return null;
        }

        var unpacking = new Unpacking(place, keepOwners, warning => call.Error.WriteLine("WARNING: " + Table.Clean(warning)));
        unpacking.Unpack(answer.Content);
        return unpacking.Copied;
    }

    /// <summary>What the source becomes on this machine: in a directory that exists, or under a name of its own.</summary>
    private static string LocalTarget(CopyPlace source, bool isDirectory, CopyPlace target)
    {
        var path = target.Path.TrimEnd('/') is { Length: > 0 } clean ? clean : "/";
        if (Directory.Exists(path)) return isDirectory && source.MeansContent || source.Name.Length == 0 ? path : Path.Combine(path, source.Name);
        if (File.Exists(path))
        {
            if (isDirectory) throw HullException.Invalid($"cannot copy the directory {source} over the file {target.Path}");
            if (target.MeansDirectory) throw HullException.Invalid($"{target.Path} is not a directory");
            return new FileInfo(path).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? path;
        }

        if (!isDirectory && target.MeansDirectory) throw HullException.NotFound($"directory {target.Path} does not exist");
        var parent = Path.GetDirectoryName(Path.GetFullPath(path));
        return Directory.Exists(parent) ? path : throw HullException.NotFound($"directory {parent} does not exist");
    }

    private long? CopyIn(Invocation call, CopyPlace source, CopyPlace target)
    {
        var stat = target.Stat(call.Engine, follow: true, out var resolved);
        if (source.IsStream)
        {
            if (stat is null || !CopyPlace.IsDirectory(stat)) throw HullException.Invalid($"{target} is not a directory: an archive is unpacked in one");
            using var input = Console.OpenStandardInput();
            Send(call, target, resolved, content => input.CopyTo(content));
            return null;
        }

        var path = LocalSource(source);
        var isDirectory = Directory.Exists(path) && new DirectoryInfo(path).LinkTarget is null;
        var (parent, name) = RemoteTarget(source, isDirectory, target, stat, resolved);
        Send(call, target, parent, content => Packing.Pack(path, name, content));
        return Measure(path);
    }

    private string LocalSource(CopyPlace source)
    {
        var path = source.Path.TrimEnd('/') is { Length: > 0 } clean ? clean : "/";
        FileSystemInfo info = Directory.Exists(path) ? new DirectoryInfo(path) : new FileInfo(path);
        if (!info.Exists && info.LinkTarget is null) throw HullException.NotFound($"{source.Path} does not exist");
        if (source.MeansDirectory && info is not DirectoryInfo) throw HullException.Invalid($"{source.Path} is not a directory");
        return info.LinkTarget is not null && (follow || source.MeansDirectory) && info.ResolveLinkTarget(returnFinalTarget: true) is { } final ? final.FullName : path;
    }

    /// <summary>The directory to unpack in, and the name that the source gets there; an empty one unpacks its content.</summary>
    private static (string Parent, string Name) RemoteTarget(CopyPlace source, bool isDirectory, CopyPlace target, PathStatInfo? stat, string resolved)
    {
        if (stat is not null && CopyPlace.IsDirectory(stat)) return (resolved, isDirectory && source.MeansContent ? "" : NameOf(source));
        if (stat is not null && isDirectory) throw HullException.Invalid($"cannot copy the directory {source.Path} over {target}");
        if (stat is not null && target.MeansDirectory) throw HullException.Invalid($"{target} is not a directory");
        if (stat is null && !isDirectory && target.MeansDirectory) throw HullException.NotFound($"directory {target} does not exist");
        var clean = resolved.TrimEnd('/');
        var slash = clean.LastIndexOf('/');
        return (slash <= 0 ? "/" : clean[..slash], clean[(slash + 1)..]);
    }

    private static string NameOf(CopyPlace source) =>
        source.Name.Length > 0 ? source.Name : Path.GetFileName(Path.GetFullPath(source.Path).TrimEnd('/'));

    private void Send(Invocation call, CopyPlace target, string directory, Action<Stream> write)
    {
        using var answer = call.Engine.SendStream("PUT", $"{target.ArchiveQuery(directory)}&noOverwriteDirNonDir=true&copyUIDGID={(keepOwners ? "true" : "false")}", write, ArchiveType);
        answer.Content.CopyTo(Stream.Null);
    }

    private static long Measure(string path) => Directory.Exists(path)
        ? new DirectoryInfo(path).EnumerateFiles("*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint, IgnoreInaccessible = true }).Sum(file => file.Length)
        : new FileInfo(path) is { Exists: true } file ? file.Length : 0;
}
