using System.Globalization;
using System.Security;
using System.Text;
using System.Xml;
using System.Xml.Linq;

namespace Hull.Hypervisor.Disks;

/// <summary>The machine an OVF descriptor speaks of (DMTF DSP0243, version 2.1): what Hull takes from one and writes.</summary>
/// <param name="Name">Name of the virtual system.</param>
/// <param name="MemoryBytes">RAM in bytes.</param>
/// <param name="Disks">File names inside the package, in boot order.</param>
/// <param name="Nics">How many network devices it has.</param>
public sealed record OvfDescriptor(string Name, int Processors, long MemoryBytes, IReadOnlyList<OvfDisk> Disks, int Nics, bool Uefi)
{
    private const string Ovf = "http://schemas.dmtf.org/ovf/envelope/1";
    private const string Rasd = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData";
    private const int ProcessorResource = 3, MemoryResource = 4, NicResource = 10, DiskResource = 17;

    /// <summary>Reads a descriptor. Entities and document types are refused, so that nothing outside it is read.</summary>
    public static OvfDescriptor Parse(Stream xml)
    {
        XDocument document;
        try
        {
            using var reader = XmlReader.Create(xml, new XmlReaderSettings
            {
                DtdProcessing = DtdProcessing.Prohibit, XmlResolver = null, MaxCharactersInDocument = 4 << 20,
            });
            document = XDocument.Load(reader);
        }
        catch (XmlException error)
        {
            throw HullException.Invalid("the OVF descriptor is not well-formed XML", error);
        }

        var systems = Named(document, "VirtualSystem").ToList();
        if (systems.Count != 1) throw HullException.Invalid($"the OVF descriptor has {systems.Count} virtual systems: one is expected");
        var files = Named(document, "File").ToDictionary(file => Attribute(file, "id"), file => Attribute(file, "href"));
        var disks = Named(document, "Disk").ToDictionary(disk => Attribute(disk, "diskId"));
        var items = Named(systems[0], "Item").Concat(Named(systems[0], "StorageItem")).Concat(Named(systems[0], "EthernetPortItem")).ToList();

        var boot = items.Where(item => Resource(item) == DiskResource)
            .Select(item => Value(item, "HostResource").Split('/')[^1])
            .Where(disks.ContainsKey)
            .Select(id => new OvfDisk(files.GetValueOrDefault(Attribute(disks[id], "fileRef")) ?? "", Capacity(disks[id])))
            .ToList();
        return new OvfDescriptor(
            Named(systems[0], "Name").FirstOrDefault()?.Value ?? Attribute(systems[0], "id"),
            Quantity(items, ProcessorResource, 1),
            Memory(items),
            boot,
            items.Count(item => Resource(item) == NicResource || item.Name.LocalName == "EthernetPortItem"),
            document.ToString().Contains("\"efi\"", StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>The descriptor as text. Disks are streamOptimized VMDK files, what every reader of OVF knows.</summary>
    public string Write()
    {
        var xml = new StringBuilder("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        xml.Append($"<Envelope xmlns=\"{Ovf}\" xmlns:ovf=\"{Ovf}\" xmlns:rasd=\"{Rasd}\" xmlns:vssd=\"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData\" xmlns:vmw=\"http://www.vmware.com/schema/ovf\">\n");
        xml.Append("  <References>\n");
        foreach (var (disk, index) in Disks.Select((disk, index) => (disk, index)))
            xml.Append(CultureInfo.InvariantCulture, $"    <File ovf:id=\"file{index}\" ovf:href=\"{SecurityElement.Escape(disk.File)}\"/>\n");
        xml.Append("  </References>\n  <DiskSection>\n    <Info>Disks</Info>\n");
        foreach (var (disk, index) in Disks.Select((disk, index) => (disk, index)))
            xml.Append(CultureInfo.InvariantCulture, $"    <Disk ovf:diskId=\"disk{index}\" ovf:fileRef=\"file{index}\" ovf:capacity=\"{disk.CapacityBytes}\" ovf:format=\"http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized\"/>\n");
        xml.Append("  </DiskSection>\n  <NetworkSection>\n    <Info>Networks</Info>\n    <Network ovf:name=\"default\"/>\n  </NetworkSection>\n");
        var name = SecurityElement.Escape(Name);
        xml.Append(CultureInfo.InvariantCulture, $"  <VirtualSystem ovf:id=\"{name}\">\n    <Info>A virtual machine</Info>\n    <Name>{name}</Name>\n    <VirtualHardwareSection>\n      <Info>Hardware</Info>\n");
        if (Uefi) xml.Append("      <vmw:Config ovf:required=\"false\" vmw:key=\"firmware\" vmw:value=\"efi\"/>\n");
        var instance = 1;
        xml.Append(Item(instance++, ProcessorResource, "processors", quantity: Processors));
        xml.Append(Item(instance++, MemoryResource, "memory", quantity: MemoryBytes >> 20, units: "byte * 2^20"));
        var controller = instance++;
        xml.Append(Item(controller, 20, "SATA controller", subType: "AHCI"));
        for (var i = 0; i < Disks.Count; i++)
            xml.Append(Item(instance++, DiskResource, $"disk {i}", host: $"ovf:/disk/disk{i}", parent: controller, position: i));
        for (var i = 0; i < Nics; i++) xml.Append(Item(instance++, NicResource, $"network {i}", subType: "E1000", connection: "default"));
        return xml.Append("    </VirtualHardwareSection>\n  </VirtualSystem>\n</Envelope>\n").ToString();
    }

    /// <summary>One hardware item; its elements stand in alphabetical order, as the schema's sequence demands.</summary>
    private static string Item(int instance, int type, string name, long? quantity = null, string? units = null, string? host = null,
        string? subType = null, string? connection = null, int? parent = null, int? position = null)
    {
        var xml = new StringBuilder("      <Item>");
        void Add(string element, object? value)
        {
            if (value is not null) xml.Append(CultureInfo.InvariantCulture, $"<rasd:{element}>{value}</rasd:{element}>");
        }

        Add("AddressOnParent", position);
        Add("AllocationUnits", units);
        Add("Connection", connection);
        Add("ElementName", name);
        Add("HostResource", host);
        Add("InstanceID", instance);
        Add("Parent", parent);
        Add("ResourceSubType", subType);
        Add("ResourceType", type);
        Add("VirtualQuantity", quantity);
        return xml.Append("</Item>\n").ToString();
    }

    private static IEnumerable<XElement> Named(XContainer parent, string name) =>
        parent.Descendants().Where(element => element.Name.LocalName == name);

    private static string Attribute(XElement element, string name) =>
        element.Attributes().FirstOrDefault(attribute => attribute.Name.LocalName == name)?.Value ?? "";

    private static string Value(XElement item, string name) =>
        item.Elements().FirstOrDefault(element => element.Name.LocalName == name)?.Value.Trim() ?? "";

    private static int Resource(XElement item) => int.TryParse(Value(item, "ResourceType"), CultureInfo.InvariantCulture, out var type) ? type : 0;

    private static int Quantity(List<XElement> items, int resource, int fallback)
    {
        var item = items.FirstOrDefault(item => Resource(item) == resource);
        return item is not null && int.TryParse(Value(item, "VirtualQuantity"), CultureInfo.InvariantCulture, out var value) ? value : fallback;
    }

    /// <summary>Memory counts in its allocation units, which are mebibytes unless the item says <c>byte * 2^n</c>.</summary>
    private static long Memory(List<XElement> items)
    {
        var quantity = Quantity(items, MemoryResource, 1024);
        var item = items.FirstOrDefault(item => Resource(item) == MemoryResource);
        var units = item is null ? "" : Value(item, "AllocationUnits").Replace(" ", "", StringComparison.Ordinal);
        return units switch
        {
            "byte" => quantity,
            "byte*2^10" or "KiloBytes" => (long)quantity << 10,
            "byte*2^30" or "GigaBytes" => (long)quantity << 30,
            _ => (long)quantity << 20,
        };
    }

    private static long Capacity(XElement disk)
    {
        if (!long.TryParse(Attribute(disk, "capacity"), CultureInfo.InvariantCulture, out var capacity)) return 0;
        var units = Attribute(disk, "capacityAllocationUnits").Replace(" ", "", StringComparison.Ordinal);
        var power = units.StartsWith("byte*2^", StringComparison.Ordinal) && int.TryParse(units[7..], CultureInfo.InvariantCulture, out var exponent) ? exponent : 0;
        return power is >= 0 and <= 40 && capacity <= long.MaxValue >> power ? capacity << power : 0;
    }
}

/// <summary>A disk of an OVF package.</summary>
/// <param name="File">Name of the file in the package.</param>
/// <param name="CapacityBytes">Size the guest sees.</param>
public sealed record OvfDisk(string File, long CapacityBytes);
