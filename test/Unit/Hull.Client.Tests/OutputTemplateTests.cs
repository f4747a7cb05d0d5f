using System.Text.Json.Nodes;
using Hull.Client.Formatting;
using Hull.Core;

namespace Hull.Client.Tests;

public sealed class OutputTemplateTests
{
    private static readonly JsonNode Value = JsonNode.Parse(
        """
        { "Name": "web", "State": { "Pid": 42, "Running": true, "Health": null }, "Empty": [], "Size": 1.5, "cpu": 2,
          "Ports": ["80/tcp", "443/tcp"], "Labels": { "b": "2", "a": "1", "com.example/x": "y" }, "Html": "<a&b>" }
        """)!;

    [Theory]
    [InlineData("{{.Name}}", "web")]
    [InlineData("{{ .State.Pid }}", "42")]
    [InlineData("{{.Cpu}}", "2")]
    [InlineData("{{.Missing}}", "<no value>")]
    [InlineData("{{json .Ports}}", """["80/tcp","443/tcp"]""")]
    [InlineData("{{.Html | json}}", "\"<a&b>\"")]
    [InlineData("{{json .State.Health}}", "null")]
    [InlineData("{{.Ports}} {{.Labels}}", "[80/tcp 443/tcp] map[a:1 b:2 com.example/x:y]")]
    [InlineData("{{range .Ports}}<{{.}}>{{end}}", "<80/tcp><443/tcp>")]
    [InlineData("{{range $i, $p := .Ports}}{{$i}}={{$p}};{{end}}", "0=80/tcp;1=443/tcp;")]
    [InlineData("{{range $k, $v := .Labels}}{{$k}}:{{$v}},{{end}}", "a:1,b:2,com.example/x:y,")]
    [InlineData("{{range .Empty}}x{{else}}none{{end}}", "none")]
    [InlineData("{{range .Ports}}{{if eq . \"443/tcp\"}}{{break}}{{end}}{{.}}{{end}}", "80/tcp")]
    [InlineData("{{range .Ports}}{{if eq . \"80/tcp\"}}{{continue}}{{end}}{{.}}{{end}}", "443/tcp")]
    [InlineData("{{if .State.Running}}up{{else}}down{{end}}", "up")]
    [InlineData("{{if .State.Health}}h{{else if .Empty}}e{{else}}neither{{end}}", "neither")]
    [InlineData("{{with .State}}{{.Pid}} {{$.Name}}{{end}}", "42 web")]
    [InlineData("{{with .State.Health}}x{{else}}{{.Name}}{{end}}", "web")]
    [InlineData("{{index .Ports 1}}", "443/tcp")]
    [InlineData("{{index .Labels \"com.example/x\"}}", "y")]
    [InlineData("{{(index .Ports 0) | upper}}", "80/TCP")]
    [InlineData("{{join .Ports \", \"}}", "80/tcp, 443/tcp")]
    [InlineData("{{index (split .Name \"e\") 1}}", "b")]
    [InlineData("{{upper .Name}} {{lower \"ABC\"}} {{title .Name}}", "WEB abc Web")]
    [InlineData("{{truncate .Name 2}}|{{pad .Name 1 2}}|", "we| web  |")]
    [InlineData("{{len .Ports}} {{len .Name}} {{len .Labels}}", "2 3 3")]
    [InlineData("{{slice .Name 1}} {{slice .Ports 0 1}}", "eb [80/tcp]")]
    [InlineData("{{printf \"%s-%03d-%5.1f|%-5s|%q\" .Name .State.Pid .Size .Name .Name}}", "web-042-  1.5|web  |\"web\"")]
    [InlineData("{{println .Name 1}}", "web 1\n")]
    [InlineData("{{$x := .Name}}{{$x = upper $x}}{{$x}}", "WEB")]
    [InlineData("{{if and .Name (not .Empty)}}y{{end}}{{if or .Empty .Name}}z{{end}}", "yz")]
    [InlineData("{{if gt .State.Pid 40}}a{{end}}{{if le .Size 1.5}}b{{end}}{{if ne .Name \"x\"}}c{{end}}", "abc")]
    [InlineData("a {{- .Name -}} b{{/* c */}}", "awebb")]
    [InlineData("{{`raw \"text\"`}}", "raw \"text\"")]
    [InlineData("{{\"\\u0041\\t\\\"\"}}", "A\t\"")]
    [InlineData("{{(.State).Pid}}", "42")]
    public void AnswersAsGoDoes(string template, string expected) => Assert.Equal(expected, OutputTemplate.Parse(template).Apply(Value));

    [Theory]
    [InlineData("{{")]
    [InlineData("{{.Name")]
    [InlineData("{{.Name}")]
    [InlineData("{{if .Name}}x")]
    [InlineData("{{end}}")]
    [InlineData("{{else}}")]
    [InlineData("{{nosuch .Name}}")]
    [InlineData("{{.Name .Name}}")]
    [InlineData("{{}}")]
    [InlineData("{{\"open}}")]
    [InlineData("{{template \"x\"}}")]
    [InlineData("{{.Missing.Field}}")]
    [InlineData("{{.Name.Field}}")]
    [InlineData("{{index .Ports 9}}")]
    [InlineData("{{index .Ports -1}}")]
    [InlineData("{{range .Name}}x{{end}}")]
    [InlineData("{{$nosuch}}")]
    [InlineData("{{join .Ports}}")]
    [InlineData("{{slice .Name 2 1}}")]
    [InlineData("{{.Name | .Name}}")]
    [InlineData("{{printf \"%d\"}}")]
    [InlineData("{{printf \"%z\" 1}}")]
    [InlineData("{{(.Name}}")]
    public void MistakesAreOneError(string template) =>
        Assert.Equal(ErrorKind.InvalidArgument, Assert.Throws<HullException>(() => OutputTemplate.Parse(template).Apply(Value)).Kind);

    [Fact]
    public void NestingIsBounded()
    {
        var deep = string.Concat(Enumerable.Repeat("{{if .}}", 10_000));
        Assert.Throws<HullException>(() => OutputTemplate.Parse(deep));
        Assert.Throws<HullException>(() => OutputTemplate.Parse("{{" + new string('(', 10_000)));
        Assert.Throws<HullException>(() => OutputTemplate.Parse("{{if .}}" + string.Concat(Enumerable.Repeat("{{else if .}}", 10_000))));
    }

    [Fact]
    public void RandomTemplatesAnswerOrFailWithTheOneError()
    {
        string[] words = ["{{", "}}", "{{- ", " -}}", "if", "end", "range", "else", "with", ".", ".Name", ".Ports", "$x", ":=", "=", ",", "|", "(", ")",
            "\"s\"", "`", "\"", " ", "1", "-2", "json", "index", "slice", "printf", "\"%5d%\"", "len", "eq", "text", "break", "{{/*", "*/}}"];
        var random = new Random(3);
        for (var round = 0; round < 20_000; round++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(14)).Select(_ => words[random.Next(words.Length)] + (random.Next(2) == 0 ? " " : "")));
            try
            {
                OutputTemplate.Parse(text).Apply(Value);
            }
            catch (HullException error) when (error.Kind == ErrorKind.InvalidArgument)
            {
            }
        }
    }
}
