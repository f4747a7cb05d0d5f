namespace Hull.Testing;

/// <summary>The kernel of virtual machines.</summary>
public static class GuestKernel
{
    /// <summary>
    /// Gives the engine, which has no way out of its network namespace, the unpacked kernel package of the host's
    /// distribution. It is kept in out/vm, where other suites look for it too.
    /// </summary>
    /// <param name="dataRoot">The engine's; it need not run yet.</param>
    public static void Provide(string dataRoot)
    {
        var kept = Path.Combine(Repository.Root, "out", "vm", "guest", "kernel.deb");
        if (!Directory.Exists(kept))
        {
            var fetch = Command.Shell($"""
                set -e; mkdir -p {Path.GetDirectoryName(kept)}; work=$(mktemp -d); cd $work
                package=$(apt-cache depends --important linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p')
                apt-get -qq -o APT::Sandbox::User=root download $package
                dpkg-deb -x $package*.deb {kept}.$$ && mv -nT {kept}.$$ {kept}; rm -rf $work
                """);
            Require.That(fetch.ExitCode == 0, "needs Debian's kernel package: " + fetch.Error.Trim());
        }

        var guest = Path.Combine(dataRoot, "vm", "guest");
        Directory.CreateDirectory(guest);
        if (!Path.Exists(Path.Combine(guest, "kernel.deb"))) Directory.CreateSymbolicLink(Path.Combine(guest, "kernel.deb"), kept);
    }
}
