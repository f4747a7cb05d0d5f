using System.Text;
using System.Text.Json;
using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Protocol;

namespace Hull.Cli.Containers;

/// <summary><c>hull create</c>.</summary>
internal sealed class CreateVerb : Verb, ICommandRunner
{
    private readonly CreateFlags create = new();

    public override string Usage => "create [options] IMAGE [COMMAND [ARGUMENT...]]";

    public override void Define(FlagSet flags) => create.Define(flags);

    public override int Run(Invocation call)
    {
        var image = call.Argument(0, "IMAGE");
        if (create.Pull == "always") Pulling.Pull(call, image, create.Platform, create.Quiet);
        var request = create.Build(image, [.. call.Arguments.Skip(1)]);
        request.AttachStdout = request.AttachStderr = true;
        request.AttachStdin = create.Interactive;
        call.Output.WriteLine(Create(call, create, request));
        return 0;
    }

    /// <summary>Makes the container, fetching its image first where that is missing; answers its id.</summary>
    public static string Create(Invocation call, CreateFlags flags, ContainerCreateRequest request)
    {
        var query = new StringBuilder("/containers/create?");
        if (flags.Name is { } name) query.Append("name=").Append(Uri.EscapeDataString(name)).Append('&');
        if (flags.Platform is { } platform) query.Append("platform=").Append(Uri.EscapeDataString(platform));
        var path = query.ToString().TrimEnd('?', '&');
        ContainerCreateAnswer answer;
        try
        {
            answer = call.Engine.Post(path, request, DockerJson.Wire.ContainerCreateRequest, DockerJson.Wire.ContainerCreateAnswer);
        }
        catch (HullException e) when (Pulling.IsMissingImage(e) && flags.Pull != "never")
        {
            Pulling.Pull(call, request.Image!, flags.Platform, flags.Quiet);
            answer = call.Engine.Post(path, request, DockerJson.Wire.ContainerCreateRequest, DockerJson.Wire.ContainerCreateAnswer);
        }

        foreach (var warning in answer.Warnings) call.Error.WriteLine("WARNING: " + warning);
        return answer.Id;
    }
}
