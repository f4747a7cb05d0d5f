using System.Formats.Tar;
using System.Net.Sockets;
using System.Text;
using Hull.Testing;

namespace Hull.EngineClients.Tests;

/// <summary><c>hull cp</c> and <c>docker cp</c>: files in and out of containers, running or not.</summary>
public sealed class CopyTests(Engine engine)
{
    private static readonly string s_hull = Repository.Executable("hull");

    public static TheoryData<string> Clients => [s_hull, Engine.Client];

    [Theory, MemberData(nameof(Clients))]
    public void FilesAndDirectoriesGoBothWaysAsCpDoesIt(string client)
    {
        using var here = new TemporaryDirectory("cp");
        var name = "cp" + client.Length;
        engine.Docker(Engine.Client, "run", "-d", "--name", name, "busybox", "sleep", "1000").Ok();
        try
        {
            Directory.CreateDirectory(here["tree/inner"]);
            File.WriteAllText(here["tree/inner/deep"], "deep");
            File.WriteAllText(here["file"], "text");
            File.SetUnixFileMode(here["file"], UnixFileMode.UserRead | UnixFileMode.UserExecute);
            File.CreateSymbolicLink(here["tree/link"], "inner/deep");

            Copy(client, here["file"], name + ":/tmp");
            Copy(client, here["file"], name + ":/tmp/renamed");
            Copy(client, here["tree"], name + ":/tmp");
            Copy(client, here["tree"], name + ":/new");
            Copy(client, here["tree/."], name + ":/tmp/renamed-not", fails: false);
            Assert.Equal("text text deep deep deep inner/deep 500 0",
                Inside(name, "echo $(cat /tmp/file) $(cat /tmp/renamed) $(cat /tmp/tree/inner/deep) $(cat /new/inner/deep) $(cat /tmp/renamed-not/inner/deep) $(readlink /new/link) $(stat -c '%a %u' /tmp/file)"));
            Copy(client, here["tree"], name + ":/tmp/file", fails: true);
            Copy(client, here["file"], name + ":/nothing/", fails: true);
            Copy(client, here["nothing"], name + ":/tmp", fails: true);
            Copy(client, here["file"], "nobody:/tmp", fails: true);

            Copy(client, name + ":/tmp/tree", here["out"]);
            Copy(client, name + ":/tmp/tree/inner/deep", here["out"]);
            Copy(client, name + ":/tmp/tree/.", here["content"]);
            Assert.Equal("deep", File.ReadAllText(here["out/inner/deep"]));
            Assert.Equal("deep", File.ReadAllText(here["out/deep"]));
            Assert.Equal("deep", File.ReadAllText(here["content/inner/deep"]));
            Assert.Equal("inner/deep", new FileInfo(here["content/link"]).LinkTarget);
            Copy(client, name + ":/tmp/tree", here["file"], fails: true);
            Copy(client, name + ":/tmp/none", here["x"], fails: true);

            // Links: themselves, or with -L what they lead to.
            Copy(client, name + ":/tmp/tree/link", here["asLink"]);
            Assert.Equal("inner/deep", new FileInfo(here["asLink"]).LinkTarget);
            Run(client, "cp", "-L", name + ":/tmp/tree/link", here["followed"]).Ok();
            Assert.Equal(("deep", null), (File.ReadAllText(here["followed"]), new FileInfo(here["followed"]).LinkTarget));
            Run(client, "cp", "-L", here["tree/link"], name + ":/tmp/followed").Ok();
            Assert.Equal("deep", Inside(name, "cat /tmp/followed"));

            // Owners.
            Command.Run("chown", "1234:4321", here["file"]).Ok();
            Run(client, "cp", "-a", here["file"], name + ":/tmp/owned").Ok();
            Assert.Equal("1234:4321", Inside(name, "stat -c %u:%g /tmp/owned"));

            // Archives.
            engine.Run("/bin/sh", null, "-c", $"{client} cp {name}:/tmp/tree - | tar -tf -").Ok();
            var streamed = engine.Run("/bin/sh", null, "-c", $"{client} cp {name}:/tmp/tree - | {client} cp - {name}:/mnt");
            Assert.NotEqual(0, streamed.ExitCode);
            Inside(name, "mkdir /mnt");
            engine.Run("/bin/sh", null, "-c", $"{client} cp {name}:/tmp/tree - | {client} cp - {name}:/mnt").Ok();
            Assert.Equal("deep", Inside(name, "cat /mnt/tree/inner/deep"));
        }
        finally
        {
            engine.Docker(Engine.Client, "rm", "-f", name).Ok();
        }
    }

    [Theory, MemberData(nameof(Clients))]
    public void AContainerThatDoesNotRunIsCopiedToWithItsVolumes(string client)
    {
        using var here = new TemporaryDirectory("cp");
        var name = "cpv" + client.Length;
        engine.Docker(Engine.Client, "create", "--name", name, "-v", name + ":/kept", "busybox", "cat", "/kept/file").Ok();
        try
        {
            File.WriteAllText(here["file"], "into the volume");
            Copy(client, here["file"], name + ":/kept");
            Copy(client, here["file"], name + ":/beside");
            Assert.Equal("into the volume", engine.Docker(Engine.Client, "start", "-a", name).Ok().Output);
            Assert.Equal("into the volume", engine.Docker(Engine.Client, "run", "--rm", "-v", name + ":/v", "busybox", "cat", "/v/file").Ok().Output);
            Copy(client, name + ":/kept/file", here["back"]);
            Copy(client, name + ":/beside", here["beside"]);
            Assert.Equal("into the volume", File.ReadAllText(here["back"]));
            Assert.Equal("into the volume", File.ReadAllText(here["beside"]));
        }
        finally
        {
            engine.Docker(Engine.Client, "rm", "-f", "-v", name).Ok();
            engine.Docker(Engine.Client, "volume", "rm", name).Ok();
        }
    }

    [Fact]
    public void WhatAnEngineSendsNeverLeavesTheTarget()
    {
        using var here = new TemporaryDirectory("cp");
        Directory.CreateDirectory(here["outside"]);
        foreach (var (reason, entries) in new (string, PaxTarEntry[])[]
        {
            ("through a link", [Entry(TarEntryType.Directory, "d/"), Entry(TarEntryType.SymbolicLink, "d/l", here["outside"]), Entry(TarEntryType.RegularFile, "d/l/evil")]),
            ("dots", [Entry(TarEntryType.Directory, "d/"), Entry(TarEntryType.RegularFile, "d/../../outside/evil")]),
            ("another top", [Entry(TarEntryType.Directory, "d/"), Entry(TarEntryType.RegularFile, "outside/evil")]),
            ("a hard link outside", [Entry(TarEntryType.Directory, "d/"), Entry(TarEntryType.HardLink, "d/h", "../outside/secret")]),
        })
        {
            File.WriteAllText(here["outside/secret"], "secret");
            using var liar = new FakeEngine(here["s" + reason.Length], entries);
            var result = Command.Run(s_hull, ["-H", "unix://" + here["s" + reason.Length], "cp", "c:/d", here["target" + reason.Length]], null, TimeSpan.FromSeconds(30));
            Assert.True(result.ExitCode != 0, reason);
            Assert.Equal(["secret"], Directory.GetFileSystemEntries(here["outside"]).Select(Path.GetFileName));
        }

        // A set-user-id program does not become one of whoever copies it.
        using var giver = new FakeEngine(here["suid"], [new PaxTarEntry(TarEntryType.RegularFile, "d") { Mode = UnixFileMode.SetUser | UnixFileMode.UserExecute | UnixFileMode.UserRead, Uid = 5 }]);
        Command.Run(s_hull, ["-H", "unix://" + here["suid"], "cp", "c:/d", here["program"]], null, TimeSpan.FromSeconds(30)).Ok();
        Assert.Equal(UnixFileMode.UserExecute | UnixFileMode.UserRead, File.GetUnixFileMode(here["program"]));
    }

    private static PaxTarEntry Entry(TarEntryType type, string name, string? link = null)
    {
        var entry = new PaxTarEntry(type, name) { Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute };
        if (link is not null) entry.LinkName = link;
        if (type == TarEntryType.RegularFile) entry.DataStream = new MemoryStream("evil"u8.ToArray());
        return entry;
    }

    private void Copy(string client, string from, string to, bool fails = false)
    {
        var result = Run(client, "cp", from, to);
        if (fails) Assert.NotEqual(0, result.ExitCode);
        else result.Ok();
    }

    private CommandResult Run(string client, params string[] words) => engine.Docker(client, words);

    private string Inside(string name, string script) => engine.Docker(Engine.Client, "exec", name, "sh", "-c", script).Ok().Trimmed;

    /// <summary>Answers every request about a path with the same archive.</summary>
    private sealed class FakeEngine : IDisposable
    {
        private readonly Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

        public FakeEngine(string path, PaxTarEntry[] entries)
        {
            var archive = new MemoryStream();
            using (var writer = new TarWriter(archive, TarEntryFormat.Pax, leaveOpen: true))
                foreach (var entry in entries) writer.WriteEntry(entry);
            var mode = entries[0].EntryType == TarEntryType.Directory ? (1u << 31) + 493 : 420;
            var stat = Convert.ToBase64String(Encoding.UTF8.GetBytes($$"""{"name":"d","size":1,"mode":{{mode}},"mtime":"2024-01-01T00:00:00Z","linkTarget":""}"""));
            listener.Bind(new UnixDomainSocketEndPoint(path));
            listener.Listen();
            new Thread(() => Serve(stat, archive.ToArray())) { IsBackground = true }.Start();
        }

        public void Dispose() => listener.Dispose();

        private void Serve(string stat, byte[] archive)
        {
            try
            {
                while (true)
                {
                    using var client = listener.Accept();
                    var buffer = new byte[8192];
                    var request = Encoding.ASCII.GetString(buffer, 0, client.Receive(buffer));
                    client.Send(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nX-Docker-Container-Path-Stat: {stat}\r\nConnection: close\r\nContent-Length: {archive.Length}\r\n\r\n"));
                    if (request.StartsWith("GET", StringComparison.Ordinal)) client.Send(archive);
                }
            }
            catch (SocketException)
            {
                // Disposed.
            }
        }
    }
}
