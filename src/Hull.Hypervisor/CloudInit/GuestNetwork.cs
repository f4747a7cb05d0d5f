using System.Text;
using System.Text.Json;

namespace Hull.Hypervisor.CloudInit;

/// <summary>One NIC as a guest is to set it up.</summary>
/// <param name="Name">Name of the interface in the guest.</param>
/// <param name="Addresses">With their prefix lengths, such as <c>10.1.0.5/16</c>.</param>
/// <param name="Gateways">Where the default routes go; empty on a NIC that gives none.</param>
public sealed record GuestInterface(string Name, string MacAddress, int Mtu, IReadOnlyList<string> Addresses, IReadOnlyList<string> Gateways);

/// <summary>
/// The network of a guest in cloud-init's network configuration, version 1, which every renderer of cloud-init knows.
/// Addresses are static: the engine gave them out, so nothing has to serve DHCP.
/// </summary>
public static class GuestNetwork
{
    /// <summary>
    /// Vendor data by which cloud-init applies the network at every boot and not at the first one alone: the engine may
    /// have given the machine another address since.
    /// </summary>
    public const string VendorData = "#cloud-config\nupdates:\n  network:\n    when: [boot-new-instance, boot]\n";

    /// <param name="servers">Name servers.</param>
    /// <param name="search">Domains in which names without a dot are looked up.</param>
    public static string Describe(IReadOnlyList<GuestInterface> interfaces, IReadOnlyList<string> servers, IReadOnlyList<string> search)
    {
        // JSON, which is YAML too (YAML 1.2, 1.3): no value can break out of its quotes.
        using var text = new MemoryStream();
        using (var writer = new Utf8JsonWriter(text, new JsonWriterOptions { Indented = true }))
        {
            writer.WriteStartObject();
            writer.WriteNumber("version", 1);
            writer.WriteStartArray("config");
            foreach (var one in interfaces) WriteInterface(writer, one, servers, search);
            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(text.ToArray());
    }

    private static void WriteInterface(Utf8JsonWriter writer, GuestInterface one, IReadOnlyList<string> servers, IReadOnlyList<string> search)
    {
        writer.WriteStartObject();
        writer.WriteString("type", "physical");
        writer.WriteString("name", one.Name);
        writer.WriteString("mac_address", one.MacAddress);
        writer.WriteNumber("mtu", one.Mtu);
        writer.WriteStartArray("subnets");
        foreach (var address in one.Addresses)
        {
            var six = address.Contains(':', StringComparison.Ordinal);
            writer.WriteStartObject();
            writer.WriteString("type", six ? "static6" : "static");
            writer.WriteString("address", address);
            if (one.Gateways.FirstOrDefault(gateway => gateway.Contains(':', StringComparison.Ordinal) == six) is { } gateway) writer.WriteString("gateway", gateway);
            WriteList(writer, "dns_nameservers", servers);
            WriteList(writer, "dns_search", search);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void WriteList(Utf8JsonWriter writer, string name, IReadOnlyList<string> values)
    {
        if (values.Count == 0) return;
        writer.WriteStartArray(name);
        foreach (var value in values) writer.WriteStringValue(value);
        writer.WriteEndArray();
    }
}
