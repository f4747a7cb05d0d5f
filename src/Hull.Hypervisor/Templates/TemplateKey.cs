using System.Security.Cryptography;
using System.Text;
using Hull.Hypervisor.Guest;
using Hull.Hypervisor.Qemu;
using Hull.Hypervisor.Sandboxes;

namespace Hull.Hypervisor.Templates;

/// <summary>
/// Names a template by everything it depends on: a change of any part gives another key, and the old template is no
/// longer found. The tenant is a part too, for the memory and processes of a template: tenants share no pages of them,
/// because sharing can be measured from inside. The files they are read from are the same for all.
/// </summary>
public static class TemplateKey
{
    /// <summary>The tenant that is none in particular, by whose key the files are named.</summary>
    public const string Common = "default";

    /// <param name="project">The tenant; <see cref="Common"/> for none.</param>
    public static string Of(string project, SandboxShape shape, GuestImage guest, QemuHypervisor hypervisor)
    {
        var parts = string.Join('\n',
            $"layout {SandboxShape.LayoutVersion}", $"project {project}", $"guest {guest.Digest}",
            $"qemu {hypervisor.Installation.Build}", $"accelerator {hypervisor.Accelerator.Name}", $"processor {ProcessorOf()}",
            $"shape {shape.MemoryBytes} {shape.Processors} {shape.CpuModel}");
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(parts)))[..32];
    }

    /// <summary>Model and feature flags of this machine's processor, on which <c>max</c> and <c>host</c> depend.</summary>
    private static string ProcessorOf()
    {
        var text = new StringBuilder();
        foreach (var line in File.ReadLines("/proc/cpuinfo"))
        {
            if (line.Length == 0) break;
            if (line.StartsWith("model", StringComparison.Ordinal) || line.StartsWith("flags", StringComparison.Ordinal)) text.AppendLine(line);
        }

        return text.ToString();
    }
}
