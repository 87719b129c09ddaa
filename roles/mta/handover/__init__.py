"""What happens to the queue when a host gets the other MTA: mail that was taken must be lost by no deploy.

The old MTA stops listening, sends what it can, and stops. What is left is written down one by one, each durable before
the old queue lets go of it, and handed to the new MTA by filterd's way in: it was filtered when it came. A run that
dies at any point is finished by the next one; at worst a message goes out twice.
"""
