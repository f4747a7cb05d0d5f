using System.Text.Json.Nodes;
using Hull.Client.Formatting;

namespace Hull.Client.Tests;

public sealed class OutputFormatTests
{
    private static readonly TableColumn[] Columns = [new("NAME", "{{.Name}}"), new("IMAGE ID", "{{truncate .Id 3}}")];

    private static IEnumerable<JsonObject> Rows() =>
    [
        new() { ["Name"] = "a", ["Id"] = "12345", ["CreatedAt"] = "now" },
        new() { ["Name"] = "a-long-name", ["Id"] = "67890", ["CreatedAt"] = "then" },
    ];

    [Theory]
    [InlineData(null, "NAME          IMAGE ID\na             123\na-long-name   678\n")]
    [InlineData("table", "NAME          IMAGE ID\na             123\na-long-name   678\n")]
    [InlineData("{{.Name}}", "a\na-long-name\n")]
    [InlineData("{{.Name}}\\t{{.Id}}", "a\t12345\na-long-name\t67890\n")]
    [InlineData("table {{.CreatedAt}}\\t{{upper .Name}}\\t{{.Id}}", "CREATED AT   NAME          IMAGE ID\nnow          A             12345\nthen         A-LONG-NAME   67890\n")]
    [InlineData("json", "{\"Name\":\"a\",\"Id\":\"12345\",\"CreatedAt\":\"now\"}\n{\"Name\":\"a-long-name\",\"Id\":\"67890\",\"CreatedAt\":\"then\"}\n")]
    public void PrintsRows(string? format, string expected) =>
        Assert.Equal(expected, OutputFormat.Parse(format).Rows(Rows(), Columns, new Dictionary<string, string> { ["Id"] = "IMAGE ID" }));

    [Fact]
    public void InspectionIsAnIndentedListUnlessAskedOtherwise()
    {
        JsonNode[] values = [.. Rows().Take(1)];
        Assert.StartsWith("[\n    {\n        \"Name\": \"a\",", OutputFormat.Parse(null).All(values));
        Assert.Equal("{\"Name\":\"a\",\"Id\":\"12345\",\"CreatedAt\":\"now\"}\n", OutputFormat.Parse("json").All(values));
        Assert.Equal("12345\n", OutputFormat.Parse("{{.Id}}").All(values));
    }
}
